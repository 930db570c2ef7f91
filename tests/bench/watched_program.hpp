// An unmodified CPython process to be looked at: watched.py.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace coppice::bench {

/// A running watched.py, ended and reaped with the object.
class WatchedProgram {
 public:
  enum class Mode : std::uint8_t { switching, sleeping, gevent };

  /// Ready when it returns; ends this program where Python with the greenlet extension is missing.
  WatchedProgram(unsigned greenlets, Mode mode, unsigned megabytes = 0);
  ~WatchedProgram();
  WatchedProgram(const WatchedProgram&) = delete;
  WatchedProgram& operator=(const WatchedProgram&) = delete;

  pid_t pid() const noexcept { return pid_; }

  /// How often it has switched so far.
  std::uint64_t switches() const;
  /// The longest time that it has not run since the last call.
  std::chrono::nanoseconds take_longest_pause();
  /// Bytes of its page tables.
  std::uint64_t page_tables() const;

 private:
  std::string file_;
  volatile std::uint64_t* words_ = nullptr;
  pid_t pid_ = -1;
};

/// Whether the system's Python has a module.
bool has_module(const std::string& name);

/// The path of a program in the folder of COPPICE_BENCH_TOOLS, else of tests/bench/tools, else in PATH; empty
/// when it is nowhere.
std::string find_tool(const std::string& name);

/// Runs a program without its output. Its exit status; -1 when it could not be run.
int run_quietly(const std::vector<std::string>& command);

}  // namespace coppice::bench
