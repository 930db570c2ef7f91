// What the widgets say.
#include <algorithm>
#include <clocale>

#include "tests/support/catch.hpp"
#include "tests/tui/made_up_source.hpp"
#include "tui/model/backtrace.hpp"
#include "tui/model/sample.hpp"
#include "tui/widgets/backtrace_pane.hpp"
#include "tui/widgets/header.hpp"
#include "tui/widgets/help.hpp"
#include "tui/widgets/scroller.hpp"
#include "tui/widgets/search_line.hpp"
#include "tui/widgets/sort_menu.hpp"

using namespace coppice::tui;
using namespace coppice;

namespace {

inspect::Snapshot snapshot(std::size_t greenlets) {
  MadeUp what;
  what.greenlets = greenlets;
  auto taken = MadeUpSource(what).take({});
  REQUIRE(taken.ok());
  return std::move(taken).value();
}

std::string all_text(const std::vector<Line>& lines) {
  std::string out;
  for (const Line& line : lines) out += line.text() + "\n";
  return out;
}

bool contains(const std::string& text, const std::string& piece) {
  return text.find(piece) != std::string::npos;
}

}  // namespace

TEST_CASE("a backtrace tells its frames, the inlined ones, and its end") {
  const auto taken = snapshot(40);
  const auto whole = backtrace_lines(taken.greenlets[4], Charset::ascii);
  REQUIRE(whole.size() == 6);
  CHECK(whole[0].text() == "#0 0x0000000000401000 coppice_switch at switch_x86_64.S:40");
  CHECK(whole[3].text() == "#3 inlined            Session::serve at session.cpp:12");
  CHECK(whole[5].text() == "base");
  const auto truncated = backtrace_lines(taken.greenlets[12], Charset::ascii);
  CHECK(truncated.back().text() == "truncated: no unwind information in shop at 0x405000");
  const auto unstarted = backtrace_lines(taken.greenlets[9], Charset::ascii);
  REQUIRE(unstarted.size() == 1);
  CHECK(unstarted[0].text() == "not started yet: no stack");
}

TEST_CASE("every way a backtrace can end is told, and why") {
  inspect::SnapshotGreenlet entry;
  entry.greenlet.state = inspect::State::running;
  CHECK(backtrace_lines(entry, Charset::ascii).back().text() == "not walked");
  entry.greenlet.error = inspect::Error{inspect::ErrorCode::not_stopped, 0, "thread 7 is on a CPU"};
  CHECK(backtrace_lines(entry, Charset::ascii).back().text() == "not walked: thread 7 is on a CPU");
  entry.end = inspect::End::error;
  entry.error = inspect::Error{inspect::ErrorCode::corrupt, 0x10, "evil\x1b[2J"};
  CHECK(contains(backtrace_lines(entry, Charset::ascii).back().text(), "error: evil\\x1b[2J at 0x10"));
  entry.error.reset();
  entry.greenlet.error.reset();
  CHECK(backtrace_lines(entry, Charset::ascii).back().text() == "error: for a reason not recorded");
}

TEST_CASE("of which frames the end is told, where Python frames go on beyond it") {
  inspect::SnapshotGreenlet entry;
  entry.frames.emplace_back().kind = inspect::Frame::Kind::python;
  entry.end = inspect::End::truncated;
  CHECK(backtrace_lines(entry, Charset::ascii).back().text() ==
        "native frames truncated: for a reason not recorded");
}

TEST_CASE("Python frames that could not be merged, or not be read, are told beside the C frames") {
  auto entry = snapshot(40).greenlets[4];
  entry.unmerged = "2 evaluators for 1 Python frame";
  entry.python_frames.emplace_back();
  entry.python_frames.back().kind = inspect::Frame::Kind::python;
  entry.python_frames.back().function = "serve";
  entry.python_error = inspect::Error{inspect::ErrorCode::unreadable, 0x10, "no memory there"};
  const auto lines = backtrace_lines(entry, Charset::ascii);
  REQUIRE(lines.size() == 9);
  CHECK(lines[5].text() == "base");
  CHECK(lines[6].text() == "Python frames, not merged: 2 evaluators for 1 Python frame");
  CHECK(lines[7].text() == "#0 python             serve");
  CHECK(lines[8].text() == "Python frames missing: no memory there at 0x10");
}

TEST_CASE("a frame without a name shows where it is") {
  inspect::SnapshotGreenlet entry;
  inspect::Frame frame;
  frame.pc = 0x1234;
  frame.module = "/lib/libx.so";
  frame.offset = 0x34;
  entry.frames.push_back(frame);
  entry.end = inspect::End::base;
  CHECK(contains(backtrace_lines(entry, Charset::ascii)[0].text(), "0x34"));
}

TEST_CASE("the pane begins at the innermost frame of each new greenlet") {
  const auto taken = snapshot(40);
  BacktracePane pane;
  pane.set_greenlet(&taken.greenlets[4], Charset::ascii);
  pane.render({4, 60}, true, Charset::ascii);
  pane.handle(keys::end);
  CHECK(contains(all_text(pane.render({4, 60}, true, Charset::ascii)), "base"));
  pane.set_greenlet(&taken.greenlets[4], Charset::ascii);  // a new sample of the same one
  CHECK(contains(all_text(pane.render({4, 60}, true, Charset::ascii)), "base"));
  pane.set_greenlet(&taken.greenlets[5], Charset::ascii);
  CHECK(contains(all_text(pane.render({4, 60}, true, Charset::ascii)), "#0"));
  pane.set_greenlet(nullptr, Charset::ascii);
  CHECK(all_text(pane.render({4, 60}, true, Charset::ascii)) == "no greenlet\n");
}

TEST_CASE("the header tells the process, the states, the rates and the cost") {
  SampleMaker maker;
  MadeUpSource source(MadeUp{});
  maker.make(source.take({}).value(), {});
  Header header;
  header.sample = maker.make(source.take({}).value(), std::chrono::milliseconds(23));
  header.interval = std::chrono::seconds(1);
  header.paused = true;
  const std::string text = all_text(header.render({4, 120}, Charset::ascii));
  for (const char* piece :
       {"shop 4242 shop --port 80", "Greenlets 40", "32 suspended", "1 running", "4 unstarted", "3 finished",
        "Switches 7.2k/s", "Copied 1.0M/s", "Threads 1", "Incomplete 3", "Torn reads 2 of 4 so far",
        "Snapshot 23ms", "every 1.0s", "PAUSED"}) {
    INFO(piece << "\n" << text);
    CHECK(contains(text, piece));
  }
  for (std::size_t columns = 0; columns < 140; ++columns) {
    for (const Line& line : header.render({4, columns}, Charset::ascii)) REQUIRE(line.width() <= columns);
  }
  CHECK(header.render({1, 80}, Charset::ascii).size() == 1);
}

TEST_CASE("the scroller keeps the selection on the screen") {
  Scroller scroller;
  scroller.set_rows(5);
  scroller.set_count(100);
  std::size_t checked = 0;
  for (const Key key :
       {keys::down, keys::page_down, keys::end, keys::up, keys::page_up, keys::home, keys::up}) {
    CHECK(scroller.handle(key));
    CHECK(scroller.position() >= scroller.top());
    CHECK(scroller.position() < scroller.top() + 5);
    ++checked;
  }
  CHECK(checked == 7);
  scroller.select(50);
  scroller.select_in_place(70);
  CHECK(scroller.position() - scroller.top() == 4);
  scroller.set_count(3);
  CHECK(scroller.position() == 2);
  CHECK(scroller.top() == 0);
  scroller.set_count(0);
  CHECK(scroller.handle(keys::down));
  CHECK(scroller.position() == 0);
  CHECK_FALSE(scroller.handle(U'x'));
}

TEST_CASE("the search line takes characters and refuses control characters") {
  std::setlocale(LC_ALL, "C.UTF-8");
  SearchLine line(SearchLine::Purpose::search, "");
  using Outcome = SearchLine::Outcome;
  CHECK(line.handle(U'a', Charset::utf8) == Outcome::changed);
  CHECK(line.handle(U'\u00e9', Charset::utf8) == Outcome::changed);
  CHECK(line.text() == "a\u00e9");
  CHECK(line.handle(U'\x02', Charset::utf8) == Outcome::ignored);
  CHECK(line.handle(keys::backspace, Charset::utf8) == Outcome::changed);
  CHECK(line.text() == "a");
  CHECK(line.handle(keys::function(3), Charset::utf8) == Outcome::next);
  CHECK(line.handle(keys::enter, Charset::utf8) == Outcome::accepted);
  CHECK(line.handle(keys::escape, Charset::utf8) == Outcome::cancelled);
  for (int i = 0; i < 500; ++i) line.handle(U'x', Charset::utf8);
  for (std::size_t columns = 0; columns < 90; ++columns) {
    REQUIRE(line.render(true, columns, Charset::utf8).width() <= columns);
  }
  std::setlocale(LC_ALL, "C");
}

TEST_CASE("the menu offers every column") {
  SortMenu menu(Column::rate);
  CHECK(menu.choice() == Column::rate);
  CHECK(menu.handle(keys::down) == SortMenu::Outcome::open);
  CHECK(menu.choice() == Column::switches);
  CHECK(menu.render({20, 80}, Charset::ascii).size() == column_table.size() + 1);
  CHECK(menu.handle(keys::enter) == SortMenu::Outcome::chosen);
  CHECK(menu.handle(keys::escape) == SortMenu::Outcome::cancelled);
}

TEST_CASE("the help fits anywhere and can be read to its end") {
  Help help;
  CHECK(contains(all_text(help.render({100, 100}, Charset::ascii)), "orphaned"));
  help.render({5, 30}, Charset::ascii);
  for (int i = 0; i < 100; ++i) CHECK(help.handle(keys::down));
  CHECK(contains(all_text(help.render({5, 30}, Charset::ascii)), "Lost"));
  CHECK_FALSE(help.handle(U'q'));
}
