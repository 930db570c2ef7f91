#include "tests/bench/watched_program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace coppice::bench {
namespace {

constexpr std::size_t file_size = 16;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

}  // namespace

WatchedProgram::WatchedProgram(unsigned greenlets, Mode mode, unsigned megabytes)
    : file_("/tmp/coppice-watched.XXXXXX") {
  const int file = mkstemp(file_.data());
  if (file < 0 || ftruncate(file, file_size) != 0) give_up("bench_snapshot: cannot make a file in /tmp");
  void* const mapped = mmap(nullptr, file_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) give_up("bench_snapshot: mmap");
  words_ = static_cast<volatile std::uint64_t*>(mapped);
  int ready[2];
  if (pipe(ready) != 0) give_up("bench_snapshot: pipe");
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ready[1], STDOUT_FILENO);
    const std::string count = std::to_string(greenlets), heap = std::to_string(megabytes);
    const char* const what = mode == Mode::switching ? "switch" : mode == Mode::sleeping ? "sleep" : "gevent";
    execl(PYTHON, PYTHON, WATCHED_PY, file_.c_str(), count.c_str(), what, heap.c_str(), nullptr);
    _exit(127);
  }
  close(ready[1]);
  char byte = 0;
  if (read(ready[0], &byte, 1) != 1) give_up("bench_snapshot: " WATCHED_PY " does not run");
  close(ready[0]);
}

WatchedProgram::~WatchedProgram() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  munmap(const_cast<std::uint64_t*>(words_), file_size);
  unlink(file_.c_str());
}

std::uint64_t WatchedProgram::switches() const {
  return words_[0];
}

std::chrono::nanoseconds WatchedProgram::take_longest_pause() {
  const std::chrono::nanoseconds longest(words_[1]);
  words_[1] = 0;
  return longest;
}

std::uint64_t WatchedProgram::page_tables() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmPTE:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

bool has_module(const std::string& name) {
  return run_quietly({PYTHON, "-c", "import " + name}) == 0;
}

std::string find_tool(const std::string& name) {
  const char* const chosen = std::getenv("COPPICE_BENCH_TOOLS");  // NOLINT(concurrency-mt-unsafe)
  const char* const path = std::getenv("PATH");                   // NOLINT(concurrency-mt-unsafe)
  std::istringstream folders(std::string(chosen != nullptr ? chosen : TOOLS_FOLDER) + ":" +
                             (path != nullptr ? path : ""));
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = fmt::format("{}/{}", folder, name);
    if (access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

int run_quietly(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, arguments.front(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed != 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

}  // namespace coppice::bench
