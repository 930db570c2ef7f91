#include "tui/widgets/function_bar.hpp"

namespace coppice::tui {

Line function_bar(std::span<const KeyHint> hints, std::size_t columns) {
  Line line;
  std::size_t used = 0;
  for (const auto& [key, label] : hints) {
    const std::size_t needed = width(key) + width(label);
    if (used + needed > columns) break;
    line.add(key, Style::key_name).add(label, Style::key_label);
    used += needed;
  }
  return line;
}

}  // namespace coppice::tui
