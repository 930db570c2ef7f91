// gltop's command line.
#pragma once

#include <sys/types.h>

#include <optional>

#include "inspect/target/target.hpp"
#include "tui/run.hpp"

namespace coppice::tui {

struct Options {
  pid_t pid = 0;  ///< 0: show which processes have greenlets
  inspect::FileSearch search;
  RunOptions run;
};

/// Fills `options`. Returns a status when the program is to end now: help or version was printed, or the
/// usage was wrong, which has been explained on standard error.
std::optional<ExitStatus> parse_options(int argc, const char* const* argv, Options& options);

}  // namespace coppice::tui
