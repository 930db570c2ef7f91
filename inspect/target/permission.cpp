#include "inspect/target/permission.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include <fmt/format.h>

#include "inspect/base/files.hpp"

namespace coppice::inspect {

namespace {

constexpr std::size_t kSmallFile = 64 * 1024;

std::string text_of(int directory, const std::string& name) {
  auto text = read_text_at(directory, name, kSmallFile);
  return text.ok() ? std::move(*text) : std::string();
}

}  // namespace

AccessFacts gather_access_facts(int directory, const ProcStatus& target) {
  AccessFacts facts;
  const ProcStatus own = parse_status(text_of(AT_FDCWD, "/proc/self/status"));
  facts.our_uid = geteuid();
  facts.we_have_cap_sys_ptrace = (own.effective_capabilities >> CAP_SYS_PTRACE & 1) != 0;
  facts.our_system_calls_filtered = own.seccomp == 2;
  facts.target_uid = target.effective_uid;
  struct stat owner;  // of a file: the folder itself always belongs to who it runs as
  facts.target_undumpable = fstatat(directory, "mem", &owner, 0) == 0 && owner.st_uid != target.effective_uid;
  const std::string theirs = read_link_at(directory, "ns/user");
  const std::string ours = read_link_at(AT_FDCWD, "/proc/self/ns/user");
  facts.other_user_namespace = !theirs.empty() && theirs != ours;
  facts.yama_scope = std::atoi(text_of(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope").c_str());
  return facts;
}

Error explain_refusal(pid_t pid, const AccessFacts& facts, int error) {
  std::string why;
  if (facts.yama_scope >= 3) {
    why = "kernel.yama.ptrace_scope is 3, which forbids it to everybody until the machine restarts";
  } else if (!facts.we_have_cap_sys_ptrace && facts.our_uid != facts.target_uid) {
    why =
        fmt::format("it belongs to user {} and we are user {}; run as that user, or as root (CAP_SYS_PTRACE)",
                    facts.target_uid, facts.our_uid);
  } else if (!facts.we_have_cap_sys_ptrace && facts.yama_scope == 2) {
    why = "kernel.yama.ptrace_scope is 2, which asks for CAP_SYS_PTRACE; run as root";
  } else if (!facts.we_have_cap_sys_ptrace && facts.target_undumpable) {
    why =
        "it is not dumpable (set-user-ID, file capabilities or PR_SET_DUMPABLE); run as root "
        "(CAP_SYS_PTRACE)";
  } else if (!facts.we_have_cap_sys_ptrace && facts.yama_scope == 1) {
    why =
        "kernel.yama.ptrace_scope is 1, which allows it for descendants only; run as root, or "
        "sysctl kernel.yama.ptrace_scope=0";
  } else if (facts.our_system_calls_filtered) {
    why =
        "a seccomp filter applies to us (a container?); start the container with --cap-add=SYS_PTRACE or "
        "--security-opt seccomp=unconfined, or run outside it";
  } else if (facts.other_user_namespace) {
    why =
        "it lives in another user namespace, where our capabilities do not count; run outside the container";
  } else if (!facts.we_have_cap_sys_ptrace) {
    why =
        "CAP_SYS_PTRACE is missing (it may have more capabilities than we have, or a security module "
        "objects); "
        "run as root";
  } else {
    why = "a security module (SELinux, AppArmor) or a container's rules forbid it";
  }
  return {ErrorCode::not_permitted, 0,
          fmt::format("not permitted to look into process {} ({}): {}", pid, errno_text(error), why)};
}

}  // namespace coppice::inspect
