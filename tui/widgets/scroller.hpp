// Which row of a long list is selected, and which rows the screen shows.
#pragma once

#include <cstddef>

#include "tui/format/key.hpp"

namespace coppice::tui {

/// `position` is always below `count` (or 0), and always within the `rows` shown from `top` on.
class Scroller {
 public:
  std::size_t position() const noexcept { return position_; }
  std::size_t top() const noexcept { return top_; }
  std::size_t count() const noexcept { return count_; }

  void set_count(std::size_t count);
  void set_rows(std::size_t rows);

  /// Selects a row; scrolls no further than needed.
  void select(std::size_t position);
  /// Selects a row and scrolls so that it stays on the line of the screen where the former selection was.
  void select_in_place(std::size_t position);

  /// Arrow keys, PgUp, PgDn, Home, End; false for any other key.
  bool handle(Key key);

 private:
  void settle();

  std::size_t count_ = 0;
  std::size_t rows_ = 1;
  std::size_t position_ = 0;
  std::size_t top_ = 0;
};

}  // namespace coppice::tui
