#include "tui/widgets/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "inspect/greenlets/greenlet.hpp"
#include "tui/model/columns.hpp"

namespace coppice::tui {
namespace {

struct Entry {
  const char* keys;
  const char* what;
};

constexpr std::array key_entries{
    Entry{"Up Down PgUp PgDn Home End", "move the selection, or scroll the backtrace"},
    Entry{"Left Right", "scroll long functions sideways"},
    Entry{"Tab", "keys go to the list or to the backtrace"},
    Entry{"Enter", "give the backtrace the whole screen, and back"},
    Entry{"F3 /", "search: id, name, state, waiting, any function of the backtrace"},
    Entry{"n N", "next and previous match"},
    Entry{"F4 \\", "filter: list only what matches"},
    Entry{"F6 s", "choose the column to sort by"},
    Entry{"< >", "sort by the column to the left, to the right"},
    Entry{"I", "turn the order round"},
    Entry{"p", "of Python programs: the frames that matter, all C frames, Python's alone"},
    Entry{"Space Z", "pause, and go on"},
    Entry{"r", "read the process again at once"},
    Entry{"+ -", "refresh less often, more often"},
    Entry{"F1 ? h", "this help"},
    Entry{"F10 q", "quit"},
};

constexpr std::array state_entries{
    std::pair{inspect::State::running, "has the thread's stack"},
    std::pair{inspect::State::suspended, "sleeps; its slice of the stack lies in the heap"},
    std::pair{inspect::State::unstarted, "was never switched to; has no stack"},
    std::pair{inspect::State::finished, "returned or was killed; has no stack"},
    std::pair{inspect::State::orphaned, "its thread has exited; its slice remains"},
};

}  // namespace

Help::Help() {
  lines_.emplace_back("Keys", Style::label);
  for (const auto& [keys, what] : key_entries) {
    lines_.emplace_back();
    lines_.back().add(fmt::format("  {:<27} ", keys), Style::value).add(what);
  }
  lines_.emplace_back();
  lines_.emplace_back("Columns", Style::label);
  for (const ColumnInfo& column : column_table) {
    lines_.emplace_back();
    lines_.back().add(fmt::format("  {:<27} ", column.title), Style::value).add(column.about);
  }
  lines_.emplace_back();
  lines_.emplace_back("States", Style::label);
  for (const auto& [state, what] : state_entries) {
    lines_.emplace_back();
    lines_.back().add(fmt::format("  {:<27} ", inspect::name(state)), state_style(state)).add(what);
  }
  lines_.emplace_back();
  lines_.emplace_back(
      "Torn reads: the program changed these bytes while they were read, so they were read again.",
      Style::plain);
  lines_.emplace_back("Lost: greenlets that were torn at every attempt; they are marked.", Style::plain);
  scroller_.set_count(lines_.size());
}

bool Help::handle(Key key) {
  // One line at a time: what is selected is the first line shown.
  return scroller_.handle(key);
}

std::vector<Line> Help::render(Size size, Charset charset) {
  std::vector<Line> out;
  if (size.rows == 0) return out;
  out.emplace_back("gltop: help", Style::pane_title_focused);
  out.back().whole = Style::pane_title_focused;
  const std::size_t rows = size.rows - 1;
  scroller_.set_count(lines_.size() > rows ? lines_.size() - rows + 1 : 1);
  scroller_.set_rows(1);
  for (std::size_t i = scroller_.position(); i < std::min(lines_.size(), scroller_.position() + rows); ++i) {
    out.push_back(lines_[i]);
    out.back().cut(size.columns, charset);
  }
  return out;
}

}  // namespace coppice::tui
