#include "tui/format/line.hpp"

#include <utility>

namespace coppice::tui {

Line& Line::add(std::string text, Style style) {
  if (!text.empty()) spans.push_back({std::move(text), style});
  return *this;
}

std::size_t Line::width() const {
  std::size_t columns = 0;
  for (const Span& span : spans) columns += tui::width(span.text);
  return columns;
}

std::string Line::text() const {
  std::string out;
  for (const Span& span : spans) out += span.text;
  return out;
}

void Line::cut(std::size_t columns, Charset charset) {
  if (width() <= columns) return;
  std::size_t left = columns;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const std::size_t needed = tui::width(spans[i].text);
    if (needed < left) {
      left -= needed;
      continue;
    }
    // Something follows or sticks out, or the whole line would have fitted: one column goes to the ellipsis.
    std::string kept(head(spans[i].text, left > 0 ? left - 1 : 0));
    if (left > 0) kept += charset == Charset::utf8 ? "…" : "~";
    spans[i].text = std::move(kept);
    spans.resize(i + 1);
    return;
  }
}

}  // namespace coppice::tui
