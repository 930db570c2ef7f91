// The menu of columns to sort by, beside the list.
#pragma once

#include <cstdint>
#include <vector>

#include "tui/format/key.hpp"
#include "tui/format/line.hpp"
#include "tui/model/columns.hpp"
#include "tui/widgets/scroller.hpp"

namespace coppice::tui {

class SortMenu {
 public:
  enum class Outcome : std::uint8_t { open, chosen, cancelled };

  explicit SortMenu(Column current);

  Outcome handle(Key key);
  Column choice() const;

  std::vector<Line> render(Size size, Charset charset);

 private:
  Scroller scroller_;
};

}  // namespace coppice::tui
