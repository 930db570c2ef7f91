// The pane with the backtrace of the selected greenlet.
#pragma once

#include <string>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"
#include "tui/format/key.hpp"
#include "tui/format/line.hpp"
#include "tui/widgets/scroller.hpp"

namespace coppice::tui {

class BacktracePane {
 public:
  /// What to show; null for nothing. Another greenlet's backtrace is shown from its innermost frame on.
  void set_greenlet(const inspect::SnapshotGreenlet* greenlet, Charset charset);

  /// Scrolls by the arrow keys, PgUp, PgDn, Home and End.
  bool handle(Key key);

  /// The title and as many lines as fit.
  std::vector<Line> render(Size size, bool focused, Charset charset);

  std::size_t length() const noexcept { return lines_.size(); }

 private:
  std::string id_;
  Line title_;
  std::vector<Line> lines_;
  Scroller scroller_;
  std::size_t skipped_columns_ = 0;
};

}  // namespace coppice::tui
