// Signals that a full-screen program answers in its own time, as a descriptor to poll.
#pragma once

#include <csignal>
#include <optional>

#include "inspect/base/unique_fd.hpp"

namespace coppice::tui {

/// SIGWINCH, SIGTSTP and SIGCONT, held back for the life of the object and read with next(). For the main
/// thread; threads made meanwhile must block them as well.
class SignalEvents {
 public:
  SignalEvents();
  SignalEvents(const SignalEvents&) = delete;
  SignalEvents& operator=(const SignalEvents&) = delete;
  ~SignalEvents();

  int fd() const noexcept { return fd_.get(); }
  /// The next signal that has come, if any.
  std::optional<int> next();

  /// Stops the process as SIGTSTP by itself would have; returns when it is continued.
  void stop_process();

 private:
  inspect::UniqueFd fd_;
  sigset_t before_{};
};

}  // namespace coppice::tui
