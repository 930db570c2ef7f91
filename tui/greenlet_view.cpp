#include "tui/greenlet_view.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tui/widgets/function_bar.hpp"
#include "tui/widgets/header.hpp"

namespace coppice::tui {
namespace {

using std::chrono::milliseconds;

constexpr std::array<milliseconds, 11> intervals{
    milliseconds{100},    milliseconds{200},    milliseconds{500},   milliseconds{1'000},
    milliseconds{2'000},  milliseconds{3'000},  milliseconds{5'000}, milliseconds{10'000},
    milliseconds{20'000}, milliseconds{30'000}, milliseconds{60'000}};

/// How many lines each part of the screen gets.
struct Layout {
  std::size_t header = 0;
  std::size_t list = 0;
  std::size_t backtrace = 0;
};

/// `rows` without the message and the function bar.
Layout lay_out(std::size_t rows, bool backtrace_focused, bool backtrace_whole) {
  Layout layout;
  layout.header = rows >= 14 ? 4 : rows >= 9 ? 2 : rows >= 3 ? 1 : 0;
  const std::size_t rest = rows - layout.header;
  const bool both = rest >= 9;
  if (backtrace_whole || (!both && backtrace_focused)) {
    layout.backtrace = rest;
  } else if (both) {
    layout.backtrace = std::max<std::size_t>(5, rest * 2 / 5);
  }
  layout.list = rest - layout.backtrace;
  return layout;
}

}  // namespace

GreenletView::GreenletView(Screen& screen, Events& events, std::unique_ptr<SnapshotSource> source,
                           ViewOptions options, Charset charset)
    : screen_(screen),
      events_(events),
      options_(std::move(options)),
      charset_(charset),
      choice_(std::make_shared<std::atomic<inspect::FrameChoice>>(options_.snapshot.choice)),
      sampler_(sampling(std::move(source), options_.snapshot, choice_), options_.interval) {
  list_.set_sort(options_.sort);
  list_.set_filter(Matcher(options_.filter));
}

inspect::Result<GreenletView::Left> GreenletView::run() {
  while (!left_) {
    draw();
    if (!events_.wait(sampler_.fd())) break;
    update();
    if (!sample_ && error_) return *error_;
    while (const auto key = screen_.read_key()) handle(*key);
  }
  return left_.value_or(Left::quit);
}

void GreenletView::update() {
  auto update = sampler_.take();
  if (!update) return;
  error_ = update->error;
  if (update->sample) {
    update_ = std::move(update);
    sample_ = update_->sample;
    list_.set_sample(sample_);
    show_selected();
  }
  ended_ = (error_ && (error_->code == inspect::ErrorCode::gone ||
                       error_->code == inspect::ErrorCode::no_such_process)) ||
           (sample_ && sample_->snapshot.target_died);
  if (ended_) sampler_.set_paused(true);
}

void GreenletView::show_selected() {
  const auto index = list_.selected();
  backtrace_.set_greenlet(index ? &sample_->snapshot.greenlets[*index] : nullptr, charset_);
}

// --- drawing ---

void GreenletView::draw_lines(std::size_t first_row, const std::vector<Line>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) screen_.draw(first_row + i, lines[i]);
}

std::optional<Line> GreenletView::message() const {
  Line line;
  if (ended_) {
    line = {"The process has exited; this is the last view of it. Press q to quit.", Style::bad};
  } else if (error_) {
    line = {printable("Cannot be read now: " + error_->message, charset_), Style::bad};
  } else if (!list_.filter().empty()) {
    line.add("Filter ", Style::label).add(printable(list_.filter().text(), charset_), Style::value);
    line.add(": " + std::to_string(list_.shown()) + " of " +
             std::to_string(sample_->snapshot.greenlets.size()));
  } else if (sample_->snapshot.greenlets.empty()) {
    std::string sentence = why_empty(sample_->snapshot) + ".";
    sentence.front() = 'T';
    line = {printable(sentence, charset_), Style::warning};
  } else if (!sample_->snapshot.warnings.empty()) {
    const auto& warnings = sample_->snapshot.warnings;
    line.add("Warning: ", Style::warning).add(printable(warnings.front(), charset_));
    if (warnings.size() > 1) line.add(" (and " + std::to_string(warnings.size() - 1) + " more)", Style::dim);
  } else {
    return std::nullopt;
  }
  return line;
}

Line GreenletView::bottom_line(std::size_t columns) {
  if (typing_) return typing_->render(found_, columns, charset_);
  static const std::array hints{KeyHint{"F1", "Help  "},    KeyHint{"F10", "Quit  "},
                                KeyHint{"F3", "Search"},    KeyHint{"F4", "Filter"},
                                KeyHint{"F6", "SortBy"},    KeyHint{"Tab", "Focus "},
                                KeyHint{"Enter", "Stack "}, KeyHint{"Space", "Pause "}};
  return function_bar(hints, columns);
}

void GreenletView::draw() {
  const Size size = screen_.size();
  screen_.clear();
  if (help_) {
    draw_lines(0, help_->render(size, charset_));
    screen_.show();
    return;
  }
  if (!sample_) {
    screen_.draw(0, Line("Reading the process ...", Style::plain));
    screen_.show();
    return;
  }
  std::size_t rows = size.rows > 0 ? size.rows - 1 : 0;
  const auto told = message();
  if (told && rows >= 3) {
    Line line = *told;
    line.cut(size.columns, charset_);
    screen_.draw(--rows, line);
  }
  const Layout layout = lay_out(rows, backtrace_focused_, backtrace_whole_);
  const Header header{sample_, options_.interval, paused_};
  draw_lines(0, header.render({layout.header, size.columns}, charset_));
  const Size list_size{layout.list, size.columns};
  draw_lines(layout.header, menu_ ? menu_->render(list_size, charset_)
                                  : list_.render(list_size, !backtrace_focused_, charset_));
  draw_lines(layout.header + layout.list,
             backtrace_.render({layout.backtrace, size.columns}, backtrace_focused_, charset_));
  const Line bottom = bottom_line(size.columns);
  if (size.rows > 0) screen_.draw(size.rows - 1, bottom);
  if (typing_) {
    screen_.show(
        Screen::Cursor{size.rows - 1, std::min(bottom.width(), size.columns > 0 ? size.columns - 1 : 0)});
  } else {
    screen_.show();
  }
}

// --- keys ---

void GreenletView::handle(Key key) {
  if (help_) {
    if (!help_->handle(key)) help_.reset();
  } else if (!sample_) {
    if (key == U'q' || key == keys::function(10)) left_ = Left::quit;
  } else if (typing_) {
    handle_search(key);
  } else if (menu_) {
    handle_menu(key);
  } else if (backtrace_focused_ && backtrace_.handle(key)) {
    return;
  } else if (!backtrace_focused_ && list_.handle(key)) {
    show_selected();
  } else {
    handle_command(key);
  }
}

void GreenletView::handle_command(Key key) {
  switch (key) {
    case U'q':
    case keys::function(10):
      left_ = Left::quit;
      break;
    case U'?':
    case U'h':
    case keys::function(1):
      help_.emplace();
      break;
    case U'/':
    case keys::function(3):
      begin_typing(SearchLine::Purpose::search);
      break;
    case U'\\':
    case keys::function(4):
      begin_typing(SearchLine::Purpose::filter);
      break;
    case U'n':
      search_again(true);
      break;
    case U'N':
      search_again(false);
      break;
    case U's':
    case keys::function(6):
      menu_.emplace(list_.sort().column);
      break;
    case U'<':
    case U',':
      step_sort(-1);
      break;
    case U'>':
    case U'.':
      step_sort(1);
      break;
    case U'I':
      change_sort({list_.sort().column, !list_.sort().descending});
      break;
    case keys::tab:
    case keys::back_tab:
      backtrace_focused_ = !backtrace_focused_;
      backtrace_whole_ = backtrace_whole_ && backtrace_focused_;
      break;
    case keys::enter:
      backtrace_whole_ = !backtrace_whole_;
      backtrace_focused_ = backtrace_whole_;
      break;
    case keys::escape:
      if (!backtrace_focused_ && options_.escape_leaves) left_ = Left::back;
      backtrace_focused_ = backtrace_whole_ = false;
      break;
    case U' ':
    case U'Z':
      paused_ = !paused_;
      sampler_.set_paused(paused_ || ended_);
      break;
    case U'r':
      if (!ended_) sampler_.now();
      break;
    case U'p':
      next_choice();
      break;
    case U'+':
      change_interval(true);
      break;
    case U'-':
      change_interval(false);
      break;
    case U'\x0c':
      screen_.repaint();
      break;  // ^L
    default:
      break;
  }
}

void GreenletView::begin_typing(SearchLine::Purpose purpose) {
  backtrace_focused_ = backtrace_whole_ = false;
  found_ = true;
  typing_.emplace(purpose, purpose == SearchLine::Purpose::filter ? list_.filter().text() : std::string());
}

void GreenletView::handle_search(Key key) {
  if (!typing_) return;
  const bool search = typing_->purpose() == SearchLine::Purpose::search;
  switch (typing_->handle(key, charset_)) {
    case SearchLine::Outcome::changed:
      if (search) {
        searched_ = typing_->text();
        found_ = searched_.empty() || list_.find(Matcher(searched_), true, true);
      } else {
        list_.set_filter(Matcher(typing_->text()));
        found_ = list_.shown() > 0;
      }
      break;
    case SearchLine::Outcome::next:
      if (search) search_again(true);
      break;
    case SearchLine::Outcome::previous:
      if (search) search_again(false);
      break;
    case SearchLine::Outcome::cancelled:
      if (!search) list_.set_filter({});
      typing_.reset();
      break;
    case SearchLine::Outcome::accepted:
      typing_.reset();
      break;
    case SearchLine::Outcome::ignored:
      break;
  }
  show_selected();
}

void GreenletView::search_again(bool forward) {
  if (searched_.empty()) return;
  found_ = list_.find(Matcher(searched_), forward, false);
  show_selected();
}

void GreenletView::handle_menu(Key key) {
  if (!menu_) return;
  const auto outcome = menu_->handle(key);
  if (outcome == SortMenu::Outcome::open) return;
  if (outcome == SortMenu::Outcome::chosen) change_sort(sort_by(menu_->choice()));
  menu_.reset();
}

void GreenletView::change_sort(Sort sort) {
  list_.set_sort(sort);
  show_selected();
}

void GreenletView::step_sort(int step) {
  const int count = static_cast<int>(column_table.size());
  const int column = (static_cast<int>(list_.sort().column) + step + count) % count;
  change_sort(sort_by(static_cast<Column>(column)));
}

void GreenletView::next_choice() {
  constexpr std::array choices{inspect::FrameChoice::merged, inspect::FrameChoice::native,
                               inspect::FrameChoice::python};
  const auto now = std::find(choices.begin(), choices.end(), choice_->load());
  choice_->store(now + 1 < choices.end() ? *(now + 1) : choices.front());
  if (!ended_) sampler_.now();
}

void GreenletView::change_interval(bool longer) {
  const auto now = options_.interval;
  if (longer) {
    const auto next = std::find_if(intervals.begin(), intervals.end(), [now](auto i) { return i > now; });
    if (next != intervals.end()) options_.interval = *next;
  } else {
    const auto next = std::find_if(intervals.rbegin(), intervals.rend(), [now](auto i) { return i < now; });
    if (next != intervals.rend()) options_.interval = *next;
  }
  sampler_.set_interval(options_.interval);
}

}  // namespace coppice::tui
