// Puts the terminal back as it was, on the ways out that skip destructors.
#pragma once

#include <termios.h>

#include <string_view>

namespace coppice::tui {

/// While a TerminalGuard lives, a signal that ends the program (SIGINT, SIGTERM, SIGHUP, SIGQUIT, and those
/// of a crash) first restores the terminal, by async-signal-safe calls only, and then ends the program the
/// way it would have ended without us; so does exit().
///
/// At most one at a time. The destructor only disarms: by then the screen has been left in the ordinary way.
class TerminalGuard {
 public:
  /// `modes` are set and `sequences` (at most 256 bytes: leave the alternate screen, show the cursor, ...)
  /// written to descriptor `fd`.
  TerminalGuard(int fd, const termios& modes, std::string_view sequences);
  TerminalGuard(const TerminalGuard&) = delete;
  TerminalGuard& operator=(const TerminalGuard&) = delete;
  ~TerminalGuard();

  /// While not armed, signals end the program without touching the terminal: it was restored already.
  void arm(bool armed) noexcept;
};

}  // namespace coppice::tui
