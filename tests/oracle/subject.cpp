#include "tests/oracle/subject.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

namespace coppice::oracle {

using inspect::Error;
using inspect::ErrorCode;
using inspect::Result;
using inspect::UniqueFd;

namespace {

namespace fs = std::filesystem;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string read_to_end(int fd) {
  std::string text;
  char buffer[65'536];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
    if (got == 0 || (got < 0 && errno != EINTR)) return text;
  }
}

/// Waits until every thread of a process sleeps, for at most a few seconds: the announcement ends just
/// before.
void wait_until_asleep(pid_t pid) {
  const auto awake = [](const fs::directory_entry& task) {
    std::string stat;
    std::getline(std::ifstream(task.path() / "stat"), stat);
    const auto state = stat.rfind(") ");
    return state == std::string::npos || stat[state + 2] != 'S';
  };
  for (int attempt = 0; attempt < 500; ++attempt) {
    const fs::directory_iterator tasks("/proc/" + std::to_string(pid) + "/task");
    if (std::none_of(begin(tasks), end(tasks), awake)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

/// The only file of a directory whose name starts with "core", or empty.
std::string find_core(const std::string& directory) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename().string().starts_with("core")) return entry.path();
  }
  return {};
}

std::string last_line(const std::string& file) {
  std::ifstream in(file);
  std::string last;
  for (std::string line; std::getline(in, line);) last = line;
  return last;
}

}  // namespace

ScratchDirectory::ScratchDirectory() {
  std::string pattern = (fs::temp_directory_path() / "coppice-oracle-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::system_category(), "mkdtemp");
  path_ = pattern;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Subject::Subject(Subject&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      standard_input_(std::move(other.standard_input_)),
      directory_(std::move(other.directory_)),
      announcement_(std::move(other.announcement_)) {}

Subject::~Subject() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  wait();
}

Result<Subject> Subject::start(const std::string& program, const std::vector<std::string>& arguments) {
  Subject subject;
  subject.directory_ = std::make_shared<ScratchDirectory>();
  Pipe input = make_pipe();
  Pipe announcements = make_pipe();
  constexpr int announce_fd = 9;
  const std::string executable = fs::absolute(program);
  std::vector<std::string> words{executable, "--announce", std::to_string(announce_fd)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  subject.pid_ = ::fork();
  if (subject.pid_ < 0) return Error{ErrorCode::io, 0, std::string("fork: ") + std::strerror(errno)};
  if (subject.pid_ == 0) {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    rlimit cores{};
    if (::setrlimit(RLIMIT_CORE, &unlimited) != 0 && ::getrlimit(RLIMIT_CORE, &cores) == 0) {
      cores.rlim_cur = cores.rlim_max;
      ::setrlimit(RLIMIT_CORE, &cores);
    }
    ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);  // under Yama gcore, no ancestor of it, may trace it too
    const int null = ::open("/dev/null", O_WRONLY);
    if (null < 0 || ::chdir(subject.directory_->path().c_str()) != 0 ||
        ::dup2(input.read.get(), STDIN_FILENO) < 0 || ::dup2(null, STDOUT_FILENO) < 0 ||
        ::dup2(announcements.write.get(), announce_fd) < 0) {
      ::_exit(126);
    }
    ::execv(executable.c_str(), argv.data());
    ::_exit(127);
  }
  subject.standard_input_ = std::move(input.write);
  announcements.write.reset();
  auto announcement = parse_announcement(read_to_end(announcements.read.get()));
  if (!announcement.ok()) {
    return Error{ErrorCode::corrupt, 0, program + ": " + announcement.error().message};
  }
  subject.announcement_ = std::move(announcement).value();
  wait_until_asleep(subject.pid_);
  return subject;
}

Result<std::string> Subject::dump_by_gcore() const {
  const std::string prefix = directory_->path() + "/by-gcore";
  const std::string command =
      "gcore -o " + prefix + " " + std::to_string(pid_) + " > " + prefix + ".log 2>&1";
  const int status =
      std::system(command.c_str());  // NOLINT(bugprone-command-processor): nothing in it is foreign
  const std::string core = prefix + "." + std::to_string(pid_);
  if (status == 0 && fs::exists(core)) return core;
  const bool missing = WIFEXITED(status) && WEXITSTATUS(status) == 127;
  return Error{missing ? ErrorCode::no_file : ErrorCode::unsupported, 0,
               missing ? "gcore is not installed" : "gcore says: " + last_line(prefix + ".log")};
}

Result<std::string> Subject::dump_by_kernel() {
  std::string pattern;
  std::getline(std::ifstream("/proc/sys/kernel/core_pattern"), pattern);
  if (!pattern.starts_with("core")) {
    return Error{ErrorCode::unsupported, 0, "core_pattern is \"" + pattern + "\""};
  }
  ::kill(pid_, SIGABRT);
  const int status = wait();
  const std::string core = find_core(directory_->path());
  if (!core.empty()) return core;
  return Error{ErrorCode::unsupported, 0, "no core was written, status " + std::to_string(status)};
}

int Subject::let_go() {
  standard_input_.reset();
  return wait();
}

int Subject::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace coppice::oracle
