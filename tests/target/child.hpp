// A real child process for tests: runs a program, reads what it reports over a pipe, and ends it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "inspect/base/unique_fd.hpp"

namespace coppice::inspect::test {

/// Runs `arguments` and waits for its report: lines "name hexadecimal-number" up to a line "ready", and then
/// until its first thread sleeps. Killed and reaped at the end. A program that cannot be run or ends without
/// a report gives an empty report.
class Child {
 public:
  /// `core`: may dump core, into `folder`, which becomes its working directory unless empty.
  explicit Child(std::vector<std::string> arguments, std::string folder = {}, bool core = false);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const noexcept { return pid_; }
  bool has(const std::string& name) const { return report_.contains(name); }
  std::uint64_t at(const std::string& name) const { return report_.at(name); }
  const std::map<std::string, std::uint64_t>& report() const noexcept { return report_; }

  /// Writes a line to its standard input and waits for the next report (added to what is known).
  void tell(const std::string& line);
  /// Reads up to the next "ready".
  void read_report();
  /// Waits until a thread is blocked, stopped or gone, at most some seconds: whoever reports that it is about
  /// to wait may not have come to it yet.
  void wait_until_asleep(std::uint64_t tid) const;
  /// Sends a signal and waits for its end; returns the wait status.
  int end_by(int signal);

 private:
  pid_t pid_ = -1;
  UniqueFd to_;
  UniqueFd from_;
  std::string buffered_;
  std::map<std::string, std::uint64_t> report_;
};

/// A folder of its own, removed with everything in it at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// The output of a shell command, and its exit status.
struct Output {
  int status = -1;
  std::string text;
};
Output run(const std::string& command);

}  // namespace coppice::inspect::test
