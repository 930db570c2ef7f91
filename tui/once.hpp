// gltop as plain text.
#pragma once

#include <cstdio>
#include <memory>

#include "tui/greenlet_view.hpp"
#include "tui/model/sample.hpp"
#include "tui/snapshot_source.hpp"

namespace coppice::tui {

/// Prints what the screen would show: header, every greenlet (not only a screenful), and the backtrace of the
/// first. `columns` 0: lines are never cut.
void print_sample(std::FILE* out, std::shared_ptr<const Sample> sample, const ViewOptions& options,
                  std::size_t columns, bool escapes, bool colors, Charset charset);

/// Takes two snapshots, an interval apart, since rates need two. When the target ends in between, the first
/// one counts.
inspect::Result<std::shared_ptr<const Sample>> sample_once(SnapshotSource& source, const ViewOptions& options,
                                                           bool& ended_midway);

}  // namespace coppice::tui
