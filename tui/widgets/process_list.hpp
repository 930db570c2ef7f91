// The list of processes that have greenlets.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tui/format/key.hpp"
#include "tui/format/line.hpp"
#include "tui/model/processes.hpp"
#include "tui/widgets/scroller.hpp"

namespace coppice::tui {

/// The selection stays on its process, by pid.
class ProcessListWidget {
 public:
  void set_list(std::shared_ptr<const ProcessList> list);
  std::optional<pid_t> selected() const;
  bool handle(Key key);

  /// The titles and as many rows as fit.
  std::vector<Line> render(Size size, Charset charset);

 private:
  std::shared_ptr<const ProcessList> list_;
  Scroller scroller_;
};

/// "2 processes with greenlets; 31 looked into, 5 not permitted (of other users: run as root to see them)".
Line process_summary(const ProcessList& list);

}  // namespace coppice::tui
