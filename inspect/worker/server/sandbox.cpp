#include "inspect/worker/server/sandbox.hpp"

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

#include "inspect/worker/protocol.hpp"

namespace coppice::inspect::worker {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;  // shadow memory and symbolizing want more than the walls allow
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
#else
constexpr bool sanitized = false;
#endif

// Only what is safe in a signal handler: the interrupted code may hold malloc's lock.
void on_cpu_time_used_up(int) {
  MessageHeader header;
  header.kind = MessageKind::stalled;
  ::send(worker_socket, &header, sizeof header, MSG_NOSIGNAL | MSG_DONTWAIT);
  ::_exit(1);
}

bool limit(__rlimit_resource resource, rlim_t value) {
  rlimit wanted{value, value};
  rlimit current{};
  if (::getrlimit(resource, &current) != 0) return false;
  if (current.rlim_max < value) wanted = {current.rlim_max, current.rlim_max};
  return ::setrlimit(resource, &wanted) == 0;
}

std::optional<std::string> failure(const char* what, int error) {
  return std::string(what) + ": " + std::strerror(error);
}

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

std::optional<std::string> install_filter() {
  Filter filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)), &seccomp_release);
  if (!filter) return "seccomp_init failed";
  constexpr std::array allowed{
      SCMP_SYS(read),         SCMP_SYS(pread64),         SCMP_SYS(lseek),
      SCMP_SYS(close),        SCMP_SYS(fstat),           SCMP_SYS(recvmsg),
      SCMP_SYS(sendmsg),      SCMP_SYS(sendto),          SCMP_SYS(poll),
      SCMP_SYS(munmap),       SCMP_SYS(mremap),          SCMP_SYS(madvise),
      SCMP_SYS(brk),          SCMP_SYS(futex),           SCMP_SYS(setitimer),
      SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction),    SCMP_SYS(rt_sigprocmask),
      SCMP_SYS(exit),         SCMP_SYS(exit_group),      SCMP_SYS(clock_gettime),
      SCMP_SYS(getrandom),    SCMP_SYS(restart_syscall),
  };
  for (const int call : allowed) {
    if (const int error = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0); error != 0) {
      return failure("seccomp_rule_add", -error);
    }
  }
  // fstat() is newfstatat(descriptor, "", ...) in newer glibc; with a path it can only learn what exists.
  const bool rules_added =
      seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                       SCMP_A3(SCMP_CMP_MASKED_EQ, 0x1000 /* AT_EMPTY_PATH */, 0x1000)) == 0 &&
      seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
      seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
      // A library that looks for a file gets the answer it is prepared for.
      seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0) == 0 &&
      seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(open), 0) == 0;
  if (!rules_added) return "seccomp rules were refused";
  if (const int error = seccomp_load(filter.get()); error != 0) return failure("seccomp_load", -error);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> enter_sandbox() {
  struct sigaction action{};
  action.sa_handler = on_cpu_time_used_up;
  if (::sigaction(SIGPROF, &action, nullptr) != 0) return failure("sigaction", errno);
  if (sanitized) return std::nullopt;
  ::close_range(worker_socket + 1, ~0U,
                0);  // an old kernel has no close_range; what we were started with is close-on-exec
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failure("PR_SET_NO_NEW_PRIVS", errno);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  constexpr rlim_t data_limit = rlim_t{4} << 30;
  constexpr rlim_t max_files = 4096;
  if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0) || !limit(RLIMIT_DATA, data_limit) ||
      !limit(RLIMIT_NOFILE, max_files)) {
    return failure("setrlimit", errno);
  }
  return install_filter();
}

}  // namespace coppice::inspect::worker
