// The help screen.
#pragma once

#include <vector>

#include "tui/format/key.hpp"
#include "tui/format/line.hpp"
#include "tui/widgets/scroller.hpp"

namespace coppice::tui {

class Help {
 public:
  Help();

  /// Scrolls; false for any other key, which closes the help.
  bool handle(Key key);

  std::vector<Line> render(Size size, Charset charset);

 private:
  std::vector<Line> lines_;
  Scroller scroller_;
};

}  // namespace coppice::tui
