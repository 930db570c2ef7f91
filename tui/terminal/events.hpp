// Waiting for something to happen: a key, a signal, a bell of a background thread.
#pragma once

#include "tui/terminal/screen.hpp"
#include "tui/terminal/signal_events.hpp"

namespace coppice::tui {

/// The screen's events. Sees to resizing, suspending (^Z) and continuing by itself.
class Events {
 public:
  /// `screen` must outlive this.
  explicit Events(Screen& screen) : screen_(screen) {}

  /// Waits until a key was pressed, the screen must be drawn again, or `fd` is readable. False when the
  /// terminal is gone, so that there is nobody left to show anything.
  bool wait(int fd);

 private:
  void answer_signals();

  Screen& screen_;
  SignalEvents signals_;
};

}  // namespace coppice::tui
