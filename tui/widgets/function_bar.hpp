// The last line: which key does what.
#pragma once

#include <span>
#include <string>

#include "tui/format/line.hpp"

namespace coppice::tui {

struct KeyHint {
  std::string key;
  std::string label;
};

/// As many hints as fit, the first ones first.
Line function_bar(std::span<const KeyHint> hints, std::size_t columns);

}  // namespace coppice::tui
