#include "tui/widgets/process_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tui/format/units.hpp"

namespace coppice::tui {
namespace {

constexpr std::size_t user_columns = 10;

Line process_row(const ProcessEntry& entry, Charset charset) {
  Line line;
  line.add(fmt::format("{:>8} ", entry.pid), Style::plain);
  line.add(fit(printable(entry.user, charset), user_columns, Align::left, charset), Style::dim);
  line.add(fmt::format(" {:<8} ", entry.runtime.empty() ? "-" : entry.runtime), Style::suspended);
  line.add(fmt::format("{:>9} ", entry.greenlets ? grouped(*entry.greenlets) : "-"), Style::value);
  line.add(printable(entry.command, charset));
  if (!entry.remark.empty()) line.add("  (" + printable(entry.remark, charset) + ")", Style::warning);
  return line;
}

}  // namespace

void ProcessListWidget::set_list(std::shared_ptr<const ProcessList> list) {
  const auto pid = selected();
  list_ = std::move(list);
  scroller_.set_count(list_->entries.size());
  const auto same = std::find_if(list_->entries.begin(), list_->entries.end(),
                                 [&](const ProcessEntry& entry) { return entry.pid == pid; });
  if (same != list_->entries.end()) {
    scroller_.select_in_place(static_cast<std::size_t>(same - list_->entries.begin()));
  }
}

std::optional<pid_t> ProcessListWidget::selected() const {
  if (!list_ || list_->entries.empty()) return std::nullopt;
  return list_->entries[scroller_.position()].pid;
}

bool ProcessListWidget::handle(Key key) {
  return scroller_.handle(key);
}

std::vector<Line> ProcessListWidget::render(Size size, Charset charset) {
  std::vector<Line> lines;
  if (size.rows == 0 || !list_) return lines;
  lines.emplace_back(
      fmt::format("{:>8} {:<10} {:<8} {:>9} {}", "PID", "USER", "RUNTIME", "GREENLETS", "COMMAND"),
      Style::column_title);
  lines.back().rest = Style::column_title;
  lines.back().cut(size.columns, charset);
  scroller_.set_rows(size.rows - 1);
  const std::size_t end = std::min(list_->entries.size(), scroller_.top() + size.rows - 1);
  for (std::size_t i = scroller_.top(); i < end; ++i) {
    lines.push_back(process_row(list_->entries[i], charset));
    lines.back().cut(size.columns, charset);
    if (i == scroller_.position()) lines.back().whole = Style::selected;
  }
  return lines;
}

Line process_summary(const ProcessList& list) {
  Line line;
  line.add(grouped(list.entries.size()), Style::value);
  line.add(list.entries.size() == 1 ? " process with greenlets" : " processes with greenlets");
  line.add(fmt::format("; {} looked into", grouped(list.looked_at)), Style::dim);
  if (list.not_permitted > 0) {
    line.add(fmt::format(", {} not permitted (run as root to see them)", grouped(list.not_permitted)),
             Style::warning);
  }
  return line;
}

}  // namespace coppice::tui
