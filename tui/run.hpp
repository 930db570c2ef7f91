// What gltop does once it knows what it was asked for.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tui/greenlet_view.hpp"
#include "tui/snapshot_source.hpp"

namespace coppice::tui {

struct RunOptions {
  ViewOptions view;
  bool once = false;   ///< print and exit, instead of taking the screen
  bool colors = true;  ///< on a terminal that has any
};

/// DESIGN.md, "Contracts".
enum ExitStatus : int { exit_done = 0, exit_could_not = 1, exit_usage = 2, exit_incomplete = 3 };

/// Shows the greenlets of one process, on the screen or (`once`, or standard output is no terminal) as text.
/// Errors go to standard error. Exceptions are reported there, too, after the screen was left.
ExitStatus run_process(std::unique_ptr<SnapshotSource> source, const RunOptions& options);

/// Takes the screen for as long as `show` runs; reports the error it returns once the screen was left.
ExitStatus on_screen(bool colors, const std::function<inspect::Result<void>(Screen&, Events&)>& show);

/// Says on standard error why gltop could not.
ExitStatus fail(const std::string& message);

/// Ends the program at once. A snapshot that is being taken in the background is not waited for: the kernel
/// lets go of what a dying tracer had stopped, and coppice-worker ends when its pipe closes.
[[noreturn]] void leave(ExitStatus status);

}  // namespace coppice::tui
