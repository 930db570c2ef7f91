// A running coppice-zoo: started, listened to, dumped, and let go or killed.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "inspect/base/result.hpp"
#include "inspect/base/unique_fd.hpp"
#include "tests/oracle/announcement.hpp"

namespace coppice::oracle {

/// A directory that is removed with all it holds.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// Killed by the destructor if still there. Its working directory is its own scratch directory.
class Subject {
 public:
  /// Starts the program with `arguments` and `--announce`, and reads what it announces: until it has said
  /// everything, or is gone. It waits in the kernel afterwards.
  static inspect::Result<Subject> start(const std::string& program,
                                        const std::vector<std::string>& arguments);
  Subject(Subject&& other) noexcept;
  Subject& operator=(Subject&&) = delete;
  ~Subject();

  pid_t pid() const noexcept { return pid_; }
  const Announcement& announcement() const noexcept { return announcement_; }

  /// Path of a core made by gcore, which leaves it running. `no_file` when there is no gcore, `unsupported`
  /// with what it says when it cannot.
  inspect::Result<std::string> dump_by_gcore() const;

  /// Aborts it and returns the path of the core the kernel wrote. `unsupported` when core_pattern or the
  /// limits say that cores do not become files in its directory.
  inspect::Result<std::string> dump_by_kernel();

  /// Lets every greenlet go on; returns the exit status, or 128 + the signal that ended it.
  int let_go();

 private:
  Subject() = default;
  int wait();

  pid_t pid_ = -1;
  inspect::UniqueFd standard_input_;
  std::shared_ptr<ScratchDirectory> directory_;
  Announcement announcement_;
};

}  // namespace coppice::oracle
