// Files that changed under a running process, and permissions.
#include "tests/support/catch.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>

#include "inspect/memory/file_memory.hpp"
#include "inspect/memory/process_memory.hpp"
#include "inspect/target/elf_reader.hpp"
#include "inspect/target/image.hpp"
#include "inspect/target/permission.hpp"
#include "inspect/target/proc_files.hpp"
#include "inspect/target/target.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::test;

namespace {

const Module& main_module(const Target& target, const Child& child) {
  const Module* main = target.module_at(child.at("main"));
  REQUIRE(main != nullptr);
  return *main;
}

/// Runs `body` in a child that has become an ordinary user; its result is what `body` returned.
template <class Body>
int as_nobody(const Body& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(100);
    _exit(body());
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

}  // namespace

TEST_CASE("a deleted or replaced program is seen as such, and its bytes are still the right ones") {
  for (const bool replaced : {false, true}) {
    const ScratchFolder folder;
    const std::string program = folder.path() + "/program";
    std::filesystem::copy_file(SUBJECT, program);
    const Child child({program});
    REQUIRE(child.has("main"));
    const auto before = open_process(child.pid());
    REQUIRE(before.ok());
    CHECK_FALSE(main_module(**before, child).deleted);

    std::filesystem::remove(program);
    if (replaced) std::filesystem::copy_file(SUBJECT_STATIC, program);
    // Opened before: noticed when the image is wanted. Opened after: known at once.
    const auto after = open_process(child.pid());
    REQUIRE(after.ok());
    CHECK(main_module(**after, child).deleted);
    CHECK(main_module(**after, child).path == program);
    CHECK((*after)->executable() == program);
    CHECK_FALSE((*after)->warnings().empty());
    for (const auto* target : {&before, &after}) {
      const Module& main = main_module(***target, child);
      auto image = (**target)->open_image(main);
      REQUIRE(image.ok());
      CHECK(file_build_id(image->get()) == main.build_id);
      CHECK_FALSE(main.identity.empty());
    }
  }
}

TEST_CASE("an image made from memory has the same code and unwind information as the file") {
  for (const char* program : {SUBJECT, SUBJECT_NO_PIE, SUBJECT_STRIPPED}) {
    const Child child({program});
    auto target = open_process(child.pid());
    REQUIRE(target.ok());
    const Module& main = main_module(**target, child);
    auto image = image_from_memory(main, (*target)->memory());
    REQUIRE(image.ok());
    CHECK(image_identity(image->get(), true).starts_with("build-id:" + main.build_id));
    const FileMemory made(std::move(*image));
    const FileMemory file(UniqueFd(open(program, O_RDONLY | O_CLOEXEC)));
    std::size_t compared = 0;
    for (const Segment& segment : main.segments) {
      if (segment.writable) continue;
      const auto one = read_up_to(made, segment.file_offset, segment.file_size, 1 << 24);
      const auto other = read_up_to(file, segment.file_offset, segment.file_size, 1 << 24);
      // The ELF header itself says no more where the sections are: they are not loaded.
      const std::size_t skip = segment.file_offset == 0 ? sizeof(Elf64_Ehdr) : 0;
      REQUIRE(one.size() == other.size());
      CHECK(std::equal(one.begin() + static_cast<std::ptrdiff_t>(skip), one.end(),
                       other.begin() + static_cast<std::ptrdiff_t>(skip)));
      compared += one.size();
    }
    CHECK(compared > 4096);
  }
}

TEST_CASE("a process of another user is refused with the reason and the remedy") {
  if (getuid() != 0) {
    WARN("needs root to become somebody else: skipped");
    return;
  }
  const Child child({SUBJECT});
  CHECK(as_nobody([&] {
          auto target = open_process(child.pid());
          if (target.ok()) return 1;
          if (target.error().code != ErrorCode::not_permitted) return 2;
          if (target.error().message.find("belongs to user 0 and we are user 65534") == std::string::npos)
            return 3;
          return 0;
        }) == 0);
}

TEST_CASE("an ordinary user may look into his own processes, but not into undumpable ones") {
  if (getuid() != 0) return;
  for (const int dumpable : {1, 0}) {
    const int result = as_nobody([&] {
      prctl(PR_SET_DUMPABLE, 1);  // becoming somebody else had taken that away
      std::array<int, 2> ends{};
      if (pipe(ends.data()) != 0) return 9;
      const pid_t own = fork();
      if (own == 0) {
        prctl(PR_SET_DUMPABLE, dumpable);
        if (write(ends[1], "", 1) != 1) _exit(1);
        for (;;) pause();
      }
      char byte = 1;
      if (read(ends[0], &byte, 1) != 1) return 8;
      auto target = open_process(own);
      kill(own, SIGKILL);
      waitpid(own, nullptr, 0);
      if (target.ok()) return dumpable == 1 ? 0 : 7;
      return dumpable == 0 && target.error().message.find("not dumpable") != std::string::npos ? 0 : 6;
    });
    CHECK(result == 0);
  }
}

TEST_CASE("where process_vm_readv is forbidden, /proc/PID/mem does") {
  const Child child({SUBJECT, "guard"});
  const pid_t filtered = fork();
  if (filtered == 0) {
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog filter{program.size(), program.data()};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) _exit(2);
    if (probe_process_vm_readv(child.pid()) != EPERM) _exit(3);
    auto target = open_process(child.pid());
    if (!target.ok()) _exit(4);
    const Memory& memory = (*target)->memory();
    auto text = memory.read_string(child.at("data"), 64);
    if (!text.ok() || *text != "in .data: jumps over") _exit(5);
    if ((*target)->module_at(child.at("main")) == nullptr) _exit(6);
    if (memory.read_value<int>(8).ok() || memory.read_value<int>(UINT64_MAX - 1).ok()) _exit(7);
    std::vector<std::byte> bytes(3 * 4096);
    const std::size_t whole = child.at("guard_works") != 0 ? 4096 : bytes.size();
    if (memory.read_some(child.at("guarded"), bytes) != whole) _exit(8);
    _exit(0);
  }
  int status = -1;
  waitpid(filtered, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("the files of a program in a chroot are found") {
  if (getuid() != 0 || SUBJECT_STATIC == std::string(SUBJECT_NO_PIE)) return;
  const ScratchFolder folder;
  std::filesystem::copy_file(SUBJECT_STATIC, folder.path() + "/program");
  const Child child({"/usr/sbin/chroot", folder.path(), "/program"});
  REQUIRE(child.has("main"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  const Module& main = main_module(**target, child);
  CHECK_FALSE(main.deleted);
  CHECK(file_build_id((*target)->open_image(main)->get()) == main.build_id);
}

TEST_CASE("every reason for a refusal has its own sentence") {
  AccessFacts facts;
  facts.our_uid = facts.target_uid = 1000;
  const auto says = [&](const std::string& part) {
    return explain_refusal(7, facts, EPERM).message.find(part) != std::string::npos;
  };
  CHECK(says("process 7"));
  CHECK(says("CAP_SYS_PTRACE is missing"));
  facts.yama_scope = 1;
  CHECK(says("ptrace_scope is 1"));
  CHECK(says("sysctl kernel.yama.ptrace_scope=0"));
  facts.target_undumpable = true;
  CHECK(says("not dumpable"));
  facts.yama_scope = 2;
  CHECK(says("ptrace_scope is 2"));
  facts.target_uid = 0;
  CHECK(says("belongs to user 0"));
  facts.yama_scope = 3;
  CHECK(says("ptrace_scope is 3"));
  facts = {};
  facts.we_have_cap_sys_ptrace = true;
  facts.other_user_namespace = true;
  CHECK(says("another user namespace"));
  facts.our_system_calls_filtered = true;
  CHECK(says("seccomp filter"));
  facts = {};
  facts.we_have_cap_sys_ptrace = true;
  CHECK(says("security module"));
}

TEST_CASE("/proc files parse as documented, and nonsense in them hurts nobody") {
  const auto ranges = parse_maps(
      "00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/a b (deleted)\n"
      "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
      "nonsense\n"
      "7f0000000800-7f0000002000 rw-p 00000000 00:00 0 \n"
      "9000-1000 r--p 0 0:0 0\n"
      "7ffff7fc1000-7ffff7fc3000 r-xp 00000000 00:00 0                          [vdso]\n");
  REQUIRE(ranges.size() == 3);
  CHECK(ranges[0].mapping.path == "/usr/bin/a b (deleted)");
  CHECK(ranges[0].file.inode == 173521);
  CHECK(ranges[0].mapping.file_offset == 0x1000);
  CHECK((ranges[0].mapping.executable && !ranges[0].mapping.writable));
  CHECK(ranges[1].mapping.path.empty());
  CHECK(ranges[2].mapping.path == "[vdso]");

  const ProcStatus status = parse_status(
      "Name:\ta\\nb\\\\c\nState:\tR "
      "(running)\nTgid:\t5\nTracerPid:\t9\nUid:\t1\t2\t3\t4\nNSpid:\t70\t7\nCapEff:\t0000000000080000\n");
  CHECK(status.name == "a\nb\\c");
  CHECK(status.state == 'R');
  CHECK(status.tracer == 9);
  CHECK(status.effective_uid == 2);
  CHECK(status.nstid == 7);
  CHECK(status.effective_capabilities == 0x80000);

  CHECK_FALSE(parse_syscall("running\n").has_value());
  CHECK_FALSE(parse_syscall("-1 0x0 0x0\n").has_value());
  CHECK_FALSE(parse_syscall("").has_value());
  CHECK(parse_syscall("-1 0x7ffc 0x401\n")->pc == 0x401);
  CHECK_FALSE(parse_syscall("-1 0x7ffc 0x401\n")->in_system_call);
  CHECK(parse_syscall("232 0x3 0x7f 0x1 0xff 0x0 0x8 0x7ffc10 0x7f1234\n")->in_system_call);
  CHECK(parse_syscall("232 0x3 0x7f 0x1 0xff 0x0 0x8 0x7ffc10 0x7f1234\n")->sp == 0x7ffc10);
}
