#include "tui/widgets/sort_menu.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coppice::tui {

SortMenu::SortMenu(Column current) {
  scroller_.set_count(column_table.size());
  scroller_.set_rows(column_table.size());
  scroller_.select(static_cast<std::size_t>(current));
}

SortMenu::Outcome SortMenu::handle(Key key) {
  if (key == keys::enter) return Outcome::chosen;
  if (key == keys::escape || key == U'q' || key == keys::function(10)) return Outcome::cancelled;
  scroller_.handle(key);
  return Outcome::open;
}

Column SortMenu::choice() const {
  return column_table.at(scroller_.position()).column;
}

std::vector<Line> SortMenu::render(Size size, Charset charset) {
  std::vector<Line> lines;
  if (size.rows == 0) return lines;
  lines.emplace_back("Sort by", Style::pane_title_focused);
  lines.back().whole = Style::pane_title_focused;
  scroller_.set_rows(size.rows - 1);
  const std::size_t end = std::min(column_table.size(), scroller_.top() + size.rows - 1);
  for (std::size_t i = scroller_.top(); i < end; ++i) {
    const ColumnInfo& column = column_table.at(i);
    Line line;
    line.add(fmt::format("{:<10} ", column.title), Style::value).add(column.about, Style::plain);
    line.cut(size.columns, charset);
    if (i == scroller_.position()) line.whole = Style::selected;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace coppice::tui
