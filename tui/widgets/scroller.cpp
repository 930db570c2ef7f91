#include "tui/widgets/scroller.hpp"

#include <algorithm>

namespace coppice::tui {

void Scroller::set_count(std::size_t count) {
  count_ = count;
  settle();
}

void Scroller::set_rows(std::size_t rows) {
  rows_ = std::max<std::size_t>(rows, 1);
  settle();
}

void Scroller::select(std::size_t position) {
  position_ = position;
  settle();
}

void Scroller::select_in_place(std::size_t position) {
  const std::size_t line = position_ - top_;
  position_ = position;
  top_ = position > line ? position - line : 0;
  settle();
}

bool Scroller::handle(Key key) {
  const std::size_t last = count_ > 0 ? count_ - 1 : 0;
  switch (key) {
    case keys::up:
      position_ -= position_ > 0 ? 1 : 0;
      break;
    case keys::down:
      position_ = std::min(position_ + 1, last);
      break;
    case keys::page_up:
      position_ -= std::min(position_, rows_);
      break;
    case keys::page_down:
      position_ = std::min(position_ + rows_, last);
      break;
    case keys::home:
      position_ = 0;
      break;
    case keys::end:
      position_ = last;
      break;
    default:
      return false;
  }
  settle();
  return true;
}

void Scroller::settle() {
  position_ = count_ > 0 ? std::min(position_, count_ - 1) : 0;
  // No empty lines below the last row while there are rows above the first.
  top_ = std::min(top_, count_ > rows_ ? count_ - rows_ : 0);
  top_ = std::min(top_, position_);
  if (position_ >= top_ + rows_) top_ = position_ - rows_ + 1;
}

}  // namespace coppice::tui
