// gldump's command line.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"
#include "inspect/target/target.hpp"

namespace coppice::gldump {

enum class Command : std::uint8_t { list, backtraces, groups, waits };

/// What the user asked for. Exactly one of `pid` and `core` is set.
struct Options {
  Command command = Command::list;
  pid_t pid = 0;
  std::string core;
  inspect::FileSearch search;
  std::vector<std::string> ids;  ///< of `bt`; empty: all
  bool json = false;
  bool color = true;  ///< if the terminal has it
  bool symbols = true;
  bool nonblocking = false;
  bool locals = false;        ///< of `bt`
  bool subprocesses = false;  ///< of `pid`; then there are no `ids`
  inspect::FrameChoice frames = inspect::FrameChoice::merged;
};

/// How the program ends without doing anything: help, version, or wrong usage (already printed).
struct Exit {
  int status = 0;
};

/// Parses the command line; prints help to stdout and what is wrong with it to stderr.
std::variant<Options, Exit> parse(int argc, const char* const* argv);

}  // namespace coppice::gldump
