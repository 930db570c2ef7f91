// The view of all processes that have greenlets, to choose one from.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "tui/model/periodic.hpp"
#include "tui/model/processes.hpp"
#include "tui/terminal/events.hpp"
#include "tui/terminal/screen.hpp"
#include "tui/widgets/process_list.hpp"

namespace coppice::tui {

class ProcessView {
 public:
  ProcessView(Screen& screen, Events& events, Charset charset);

  /// The chosen process, or none when the user quits. An error when processes cannot be listed at all.
  inspect::Result<std::optional<pid_t>> run();

  /// Shown until the next key: why the chosen process could not be opened.
  void set_message(std::string message) { message_ = std::move(message); }

 private:
  using Scan = inspect::Result<ProcessList>;

  inspect::Result<std::optional<pid_t>> choose();
  void draw();

  Screen& screen_;
  Events& events_;
  Charset charset_;
  Periodic<Scan> scanner_;
  std::shared_ptr<const Scan> scan_;
  ProcessListWidget list_;
  std::string message_;
};

}  // namespace coppice::tui
