#include "tui/model/matcher.hpp"

#include <algorithm>

#include "inspect/export/text.hpp"

namespace coppice::tui {
namespace {

char fold(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

Matcher::Matcher(std::string_view text) : text_(text), needle_(text) {
  std::transform(needle_.begin(), needle_.end(), needle_.begin(), fold);
}

bool Matcher::matches(std::string_view text) const {
  const auto found = std::search(text.begin(), text.end(), needle_.begin(), needle_.end(),
                                 [](char a, char b) { return fold(a) == b; });
  return found != text.end() || empty();
}

bool Matcher::matches(const inspect::SnapshotGreenlet& greenlet) const {
  if (empty()) return true;
  const auto& g = greenlet.greenlet;
  return matches(g.id) || matches(g.name) || matches(inspect::name(g.state)) ||
         (g.waiting && matches(inspect::waiting_text(g))) ||
         std::any_of(greenlet.frames.begin(), greenlet.frames.end(),
                     [this](const inspect::Frame& frame) { return matches(frame.function); });
}

}  // namespace coppice::tui
