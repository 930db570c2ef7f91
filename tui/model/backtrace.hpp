// A backtrace as lines.
#pragma once

#include <string>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"
#include "tui/format/line.hpp"

namespace coppice::tui {

/// "greenlet 42 "connection 7", suspended, waiting for fd 17, spawned by 3".
Line backtrace_title(const inspect::SnapshotGreenlet& greenlet, Charset charset);

/// One line a frame, innermost first, and a last one that tells how and why the backtrace ends there. Never
/// empty. An inlined frame has no address of its own and is marked as inlined.
std::vector<Line> backtrace_lines(const inspect::SnapshotGreenlet& greenlet, Charset charset);

}  // namespace coppice::tui
