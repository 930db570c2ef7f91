// The lines on top: which process, how many greenlets, how busy, how much it costs to look.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tui/format/line.hpp"
#include "tui/model/sample.hpp"

namespace coppice::tui {

struct Header {
  std::shared_ptr<const Sample> sample;  ///< never null
  std::chrono::milliseconds interval{};
  bool paused = false;

  /// At most `size.rows` lines, the most important ones first.
  std::vector<Line> render(Size size, Charset charset) const;
};

}  // namespace coppice::tui
