#include "tui/widgets/greenlet_list.hpp"

#include <algorithm>
#include <utility>

namespace coppice::tui {
namespace {

constexpr std::size_t scroll_step = 8;

}  // namespace

void GreenletList::set_sample(std::shared_ptr<const Sample> sample) {
  sample_ = std::move(sample);
  rearrange();
}

void GreenletList::set_sort(Sort sort) {
  sort_ = sort;
  rearrange();
}

void GreenletList::set_filter(Matcher filter) {
  filter_ = std::move(filter);
  rearrange();
}

std::optional<std::size_t> GreenletList::selected() const {
  if (order_.empty()) return std::nullopt;
  return order_[scroller_.position()];
}

void GreenletList::rearrange() {
  if (!sample_) return;
  order_ = arrange(*sample_, sort_, filter_);
  scroller_.set_count(order_.size());
  if (!moved_) {
    scroller_.select(0);
    return;
  }
  if (const auto index = sample_->find(selected_id_)) {
    const auto place = std::find(order_.begin(), order_.end(), static_cast<std::uint32_t>(*index));
    if (place != order_.end()) {
      scroller_.select_in_place(static_cast<std::size_t>(place - order_.begin()));
      return;
    }
  }
  // It is gone or filtered out: whoever stands on its row now is selected, until it comes back.
}

bool GreenletList::find(const Matcher& matcher, bool forward, bool including_selected) {
  const std::size_t count = order_.size();
  for (std::size_t i = including_selected ? 0 : 1; i < count + (including_selected ? 0 : 1); ++i) {
    const std::size_t place = (scroller_.position() + (forward ? i : count - i)) % count;
    if (!matcher.matches(sample_->snapshot.greenlets[order_[place]])) continue;
    scroller_.select(place);
    moved_ = true;
    selected_id_ = sample_->snapshot.greenlets[order_[place]].greenlet.id;
    return true;
  }
  return false;
}

bool GreenletList::handle(Key key) {
  if (key == keys::left) {
    skipped_columns_ -= std::min(skipped_columns_, scroll_step);
    return true;
  }
  if (key == keys::right) {
    skipped_columns_ += scroll_step;
    return true;
  }
  if (!scroller_.handle(key)) return false;
  if (const auto index = selected()) {
    moved_ = true;
    selected_id_ = sample_->snapshot.greenlets[*index].greenlet.id;
  }
  return true;
}

Line GreenletList::titles(const std::vector<PlacedColumn>& columns, Charset charset) const {
  Line line;
  for (const auto& [column, width] : columns) {
    const ColumnInfo& about = info(column);
    const bool sorted = column == sort_.column;
    const char* up = charset == Charset::utf8 ? "△" : "^";
    const char* down = charset == Charset::utf8 ? "▽" : "v";
    const std::string title = about.title + std::string(sorted ? (sort_.descending ? down : up) : "");
    const Style style = sorted ? Style::sorted_title : Style::column_title;
    if (column == columns.back().column) {
      line.add(cut(title, width, charset), style);
    } else {
      line.add(fit(title, width, about.align, charset), style).add(" ", Style::column_title);
    }
  }
  line.rest = Style::column_title;
  return line;
}

Line GreenletList::row(std::size_t index, const std::vector<PlacedColumn>& columns, Charset charset) const {
  Line line;
  for (const auto& [column, width] : columns) {
    Span span = cell(*sample_, index, column, charset);
    if (column == columns.back().column) {
      line.add(cut(skip(span.text, skipped_columns_), width, charset), span.style);
    } else {
      line.add(fit(span.text, width, info(column).align, charset), span.style).add(" ");
    }
  }
  return line;
}

std::vector<Line> GreenletList::render(Size size, bool focused, Charset charset) {
  std::vector<Line> lines;
  if (!sample_ || size.rows == 0) return lines;
  const auto columns = place_columns(*sample_, size.columns);
  lines.push_back(titles(columns, charset));
  lines.back().cut(size.columns, charset);
  scroller_.set_rows(size.rows - 1);
  const std::size_t end = std::min(order_.size(), scroller_.top() + size.rows - 1);
  for (std::size_t place = scroller_.top(); place < end; ++place) {
    lines.push_back(row(order_[place], columns, charset));
    if (place == scroller_.position()) lines.back().whole = focused ? Style::selected : Style::selected_idle;
  }
  return lines;
}

}  // namespace coppice::tui
