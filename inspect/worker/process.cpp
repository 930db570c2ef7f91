#include "inspect/worker/process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "inspect/worker/protocol.hpp"

namespace coppice::inspect::worker {
namespace {

Error failure(const std::string& what, int error) {
  return Error{ErrorCode::io, 0,
               "coppice-worker could not be started: " + what + ": " + std::strerror(error)};
}

// How the worker begins, whatever this program did to itself: its socket, no other descriptor that could
// matter, default signals, and of the environment only what finding libraries needs (LD_PRELOAD and the like
// stay behind).
class Launch {
 public:
  explicit Launch(int socket) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, 0, 1);
    ::posix_spawn_file_actions_adddup2(&actions_, 0, 2);
    ::posix_spawn_file_actions_adddup2(&actions_, socket, worker_socket);
    ::posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    for (const char* variable : {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
      if (const char* value = std::getenv(variable)) kept_.push_back(std::string(variable) + "=" + value);
    }
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;
  ~Launch() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  int run(const std::string& program, pid_t& child) {
    std::string name = "coppice-worker";
    std::array<char*, 2> arguments{name.data(), nullptr};
    std::vector<char*> environment;
    environment.reserve(kept_.size() + 1);
    for (std::string& entry : kept_) environment.push_back(entry.data());
    environment.push_back(nullptr);
    return ::posix_spawn(&child, program.c_str(), &actions_, &attributes_, arguments.data(),
                         environment.data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
  std::vector<std::string> kept_;
};

}  // namespace

Result<Process> Process::start(const std::string& program) {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return failure("socketpair", errno);
  }
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  // Above every number the file actions assign, so that none of them overwrites it.
  theirs = UniqueFd(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, worker_socket + 1));
  if (!theirs) return failure("fcntl", errno);
  pid_t child = -1;
  if (const int error = Launch(theirs.get()).run(program, child); error != 0) return failure(program, error);
  // It lives until our end is closed, so this is still that process. Without pidfds (Linux before 5.3)
  // closing alone ends it.
  UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  return Process(std::move(ours), std::move(handle));
}

Process::~Process() {
  socket_.reset();
  if (!handle_) return;
  ::syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
  // ECHILD means that the host reaped it already.
  while (::waitid(P_PIDFD, static_cast<id_t>(handle_.get()), nullptr, WEXITED) != 0 && errno == EINTR) {
  }
}

}  // namespace coppice::inspect::worker
