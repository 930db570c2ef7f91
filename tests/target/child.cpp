#include "tests/target/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "inspect/base/files.hpp"
#include "inspect/target/proc_files.hpp"

namespace coppice::inspect::test {

namespace {

std::pair<UniqueFd, UniqueFd> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

Child::Child(std::vector<std::string> arguments, std::string folder, bool core) {
  auto [their_input, to] = make_pipe();
  auto [from, their_output] = make_pipe();
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(their_input.get(), 0);
    dup2(their_output.get(), 1);
    if (!folder.empty() && chdir(folder.c_str()) != 0) _exit(126);
    const rlimit limit{core ? RLIM_INFINITY : 0, core ? RLIM_INFINITY : 0};
    setrlimit(RLIMIT_CORE, &limit);
    execv(argv[0], argv.data());
    _exit(127);
  }
  if (pid_ < 0) throw std::runtime_error("fork");
  to_ = std::move(to);
  from_ = std::move(from);
  their_input.reset();
  their_output.reset();
  read_report();
}

Child::~Child() {
  end_by(SIGKILL);
}

void Child::tell(const std::string& line) {
  const std::string text = line + "\n";
  if (write(to_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return;
  read_report();
}

void Child::read_report() {
  std::array<char, 4096> piece;
  for (;;) {
    std::size_t end = 0;
    while ((end = buffered_.find('\n')) != std::string::npos) {
      const std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      if (line == "ready") return wait_until_asleep(pid_);
      const std::size_t blank = line.find(' ');
      if (blank != std::string::npos)
        report_[line.substr(0, blank)] = std::stoull(line.substr(blank), nullptr, 16);
    }
    const ssize_t got = read(from_.get(), piece.data(), piece.size());
    if (got <= 0) return;
    buffered_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

void Child::wait_until_asleep(std::uint64_t tid) const {
  const std::string file = "/proc/" + std::to_string(pid_) + "/task/" + std::to_string(tid) + "/status";
  for (int i = 0; i < 2000; ++i) {
    const auto text = read_text_at(AT_FDCWD, file, 65536);
    const char state = text.ok() ? parse_status(*text).state : 'X';
    if (state != 'R' && state != 'D') return;
    usleep(1000);
  }
}

int Child::end_by(int signal) {
  if (pid_ < 0) return -1;
  int status = -1;
  kill(pid_, signal);
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "coppice-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Output run(const std::string& command) {
  Output output;
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(bugprone-command-processor): tests run tools
  if (pipe == nullptr) return output;
  std::array<char, 4096> piece;
  for (std::size_t got = 0; (got = fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
    output.text.append(piece.data(), got);
  }
  const int status = pclose(pipe);
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return output;
}

}  // namespace coppice::inspect::test
