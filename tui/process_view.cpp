#include "tui/process_view.hpp"

#include <array>
#include <chrono>

#include "tui/widgets/function_bar.hpp"

namespace coppice::tui {
namespace {

constexpr std::chrono::seconds scan_interval{3};

}  // namespace

ProcessView::ProcessView(Screen& screen, Events& events, Charset charset)
    : screen_(screen),
      events_(events),
      charset_(charset),
      scanner_([] { return std::make_shared<const Scan>(scan_processes()); }, scan_interval) {}

inspect::Result<std::optional<pid_t>> ProcessView::run() {
  scanner_.set_paused(false);
  auto chosen = choose();
  scanner_.set_paused(true);
  return chosen;
}

inspect::Result<std::optional<pid_t>> ProcessView::choose() {
  for (;;) {
    draw();
    if (!events_.wait(scanner_.fd())) return std::optional<pid_t>();
    if (auto scan = scanner_.take()) {
      if (!scan->ok()) return scan->error();
      scan_ = std::move(scan);
      // The list lives as long as the scan that it is part of.
      list_.set_list(std::shared_ptr<const ProcessList>(scan_, &scan_->value()));
    }
    while (const auto key = screen_.read_key()) {
      message_.clear();
      if (*key == U'q' || *key == keys::function(10) || *key == keys::escape) return std::optional<pid_t>();
      if (*key == U'\x0c') screen_.repaint();
      if (*key == keys::enter && list_.selected()) return list_.selected();
      list_.handle(*key);
    }
  }
}

void ProcessView::draw() {
  const Size size = screen_.size();
  screen_.clear();
  if (!scan_) {
    screen_.draw(0, Line("Looking for processes with greenlets ...", Style::plain));
  } else {
    const auto summary = process_summary(scan_->value());
    Line first = message_.empty() ? summary : Line(printable(message_, charset_), Style::bad);
    first.cut(size.columns, charset_);
    screen_.draw(0, first);
    std::size_t row = 1;
    const std::size_t rows = size.rows > 2 ? size.rows - 2 : 0;
    for (const Line& line : list_.render({rows, size.columns}, charset_)) screen_.draw(row++, line);
  }
  static const std::array hints{KeyHint{"Enter", "Open  "}, KeyHint{"F10", "Quit  "}};
  if (size.rows > 1) screen_.draw(size.rows - 1, function_bar(hints, size.columns));
  screen_.show();
}

}  // namespace coppice::tui
