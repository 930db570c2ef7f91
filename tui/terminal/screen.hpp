// The terminal, full screen, through ncurses. The only place that knows ncurses.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "inspect/base/result.hpp"
#include "tui/format/key.hpp"
#include "tui/format/line.hpp"

namespace coppice::tui {

/// Takes the terminal over when opened and gives it back as it was when destroyed, suspended, or when the
/// program is ended by a signal. Nothing is drawn twice: ncurses writes the difference to what is on the
/// screen. Thread-safety: the main thread only. At most one at a time.
class Screen {
 public:
  /// `io` with the remedy when standard input and output are no terminal, or TERM names none.
  static inspect::Result<std::unique_ptr<Screen>> open(bool colors);
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  Size size() const;

  /// Begins a new picture.
  void clear();
  /// Draws a line into the picture; what does not fit is not drawn.
  void draw(std::size_t row, const Line& line);
  /// Shows the picture; the cursor is visible only when given a place.
  struct Cursor {
    std::size_t row = 0;
    std::size_t column = 0;
  };
  void show(std::optional<Cursor> cursor = std::nullopt);

  /// The next key that was pressed, if any; never waits (longer than for the rest of an escape sequence).
  std::optional<Key> read_key();

  /// Draws everything anew at the next show(), in case the terminal was disturbed.
  void repaint();
  /// Adapts to the terminal's present size.
  void resized();
  /// Gives the terminal back for a while.
  void suspend();
  /// Takes it over again and redraws everything.
  void resume();

 private:
  struct Impl;
  explicit Screen(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coppice::tui
