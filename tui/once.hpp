// gltop as plain text.
#pragma once

#include <cstdio>
#include <memory>

#include "tui/greenlet_view.hpp"
#include "tui/model/processes.hpp"
#include "tui/model/sample.hpp"
#include "tui/snapshot_source.hpp"

namespace coppice::tui {

/// What text is printed on.
struct Paper {
  std::FILE* out = stdout;
  std::size_t columns = 0;  ///< 0: lines are never cut
  bool escapes = false;
  bool colors = false;
  Charset charset = Charset::ascii;

  /// Escapes and a width only on a terminal.
  static Paper standard_output(bool colors);
};

/// Prints what the screen would show: header, every greenlet (not only a screenful), and the backtrace of the
/// first.
void print_sample(const std::shared_ptr<const Sample>& sample, const ViewOptions& options,
                  const Paper& paper);

/// Prints which processes have greenlets.
void print_process_list(const std::shared_ptr<const ProcessList>& list, const Paper& paper);

/// Takes two snapshots, an interval apart, since rates need two. When the target ends in between, the first
/// one counts.
inspect::Result<std::shared_ptr<const Sample>> sample_once(SnapshotSource& source, const ViewOptions& options,
                                                           bool& ended_midway);

}  // namespace coppice::tui
