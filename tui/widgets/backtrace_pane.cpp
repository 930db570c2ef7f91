#include "tui/widgets/backtrace_pane.hpp"

#include <algorithm>

#include "tui/model/backtrace.hpp"

namespace coppice::tui {
namespace {

constexpr std::size_t scroll_step = 8;

/// A line without its first columns.
Line scrolled(Line line, std::size_t columns) {
  for (Span& span : line.spans) {
    if (columns == 0) break;
    const std::size_t all = width(span.text);
    span.text = skip(span.text, columns);
    columns -= std::min(columns, all);
  }
  return line;
}

}  // namespace

void BacktracePane::set_greenlet(const inspect::SnapshotGreenlet* greenlet, Charset charset) {
  const std::string id = greenlet != nullptr ? greenlet->greenlet.id : "";
  if (id != id_) {
    id_ = id;
    scroller_ = {};
    skipped_columns_ = 0;
  }
  title_ = greenlet != nullptr ? backtrace_title(*greenlet, charset) : Line("no greenlet", Style::pane_title);
  lines_ = greenlet != nullptr ? backtrace_lines(*greenlet, charset) : std::vector<Line>{};
  scroller_.set_count(lines_.size());
}

bool BacktracePane::handle(Key key) {
  if (key == keys::left) {
    skipped_columns_ -= std::min(skipped_columns_, scroll_step);
    return true;
  }
  if (key == keys::right) {
    skipped_columns_ += scroll_step;
    return true;
  }
  return scroller_.handle(key);
}

std::vector<Line> BacktracePane::render(Size size, bool focused, Charset charset) {
  std::vector<Line> out;
  if (size.rows == 0) return out;
  out.push_back(title_);
  out.back().whole = focused ? Style::pane_title_focused : Style::pane_title;
  out.back().cut(size.columns, charset);
  scroller_.set_rows(size.rows - 1);
  const std::size_t end = std::min(lines_.size(), scroller_.top() + size.rows - 1);
  for (std::size_t i = scroller_.top(); i < end; ++i) {
    out.push_back(scrolled(lines_[i], skipped_columns_));
    out.back().cut(size.columns, charset);
    if (focused && i == scroller_.position()) out.back().whole = Style::selected;
  }
  return out;
}

}  // namespace coppice::tui
