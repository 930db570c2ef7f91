// A greenlet's C stack and its Python stack are of one instant, however fast the program switches.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "inspect/snapshot/session.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::test;

namespace {

struct Counts {
  std::size_t agree = 0, disagree = 0, torn = 0, other = 0;
};

/// Which side a frame is on: 'l', 'r', or neither.
char side_of(const Frame& frame, const Child& child) {
  const std::string_view function = frame.function;
  if (frame.kind == Frame::Kind::native) return function == "left" ? 'l' : function == "right" ? 'r' : 0;
  if (function == "on_left") return 'l';
  if (function == "on_right") return 'r';
  if (function != "turn") return 0;
  return frame.line == child.at("line.left") ? 'l' : frame.line == child.at("line.right") ? 'r' : 0;
}

/// The sides of its frames, innermost first: "lll" or "rrr".
std::string sides_of(const SnapshotGreenlet& entry, const Child& child) {
  std::string sides;
  for (const Frame& frame : entry.frames) {
    if (const char side = side_of(frame, child)) sides += side;
  }
  return sides;
}

void count(const SnapshotGreenlet& entry, const Child& child, Counts& counts) {
  // The one that runs is anywhere in between.
  if (entry.greenlet.main || entry.greenlet.state == State::running) return;
  if (entry.error) {
    ++(entry.error->code == ErrorCode::torn ? counts.torn : counts.other);
    return;
  }
  const std::string sides = sides_of(entry, child);
  const bool agrees = (sides == "lll" || sides == "rrr") && entry.unmerged.empty() && !entry.python_error;
  ++(agrees ? counts.agree : counts.disagree);
  if (agrees || counts.disagree > 3) return;
  std::string frames;
  for (const Frame& frame : entry.frames) frames += fmt::format("\n  {} {}", frame.title(), frame.line);
  UNSCOPED_INFO(sides << ' ' << entry.unmerged << frames);
}

Counts inspect(const Child& child, Stopping stopping, int times) {
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  Session session(std::move(*target));
  SnapshotOptions options;
  options.stopping = stopping;
  Counts counts;
  for (int i = 0; i < times; ++i) {
    const auto snapshot = session.take(options);
    INFO((snapshot.ok() ? "" : snapshot.error().message));
    REQUIRE(snapshot.ok());
    for (const SnapshotGreenlet& entry : snapshot->greenlets) count(entry, child, counts);
  }
  UNSCOPED_INFO(fmt::format("{} agree, {} disagree, {} torn, {} other errors", counts.agree, counts.disagree,
                            counts.torn, counts.other));
  return counts;
}

}  // namespace

TEST_CASE(
    "C stack and Python stack of a greenlet are of one instant, in a program that switches all the time") {
  constexpr int greenlets = 64, times = 200;
  const Child child({PYTHON, AGREEING_PY, SIDES_FOLDER, fmt::to_string(greenlets), "same"});
  REQUIRE(child.has("id.0"));
  const Counts counts = inspect(child, Stopping::allowed, times);
  CHECK(counts.disagree == 0);
  CHECK(counts.other == 0);
  CHECK(counts.torn < counts.agree / 10);
  CHECK(counts.agree > std::size_t{greenlets} * times * 8 / 10);
}

TEST_CASE("they are of one instant in a program with more greenlets than are copied again in one pause") {
  constexpr int greenlets = 3000, times = 10;
  const Child child({PYTHON, AGREEING_PY, SIDES_FOLDER, fmt::to_string(greenlets), "same"});
  REQUIRE(child.has("id.0"));
  const Counts counts = inspect(child, Stopping::allowed, times);
  CHECK(counts.disagree == 0);
  CHECK(counts.other == 0);
  CHECK(counts.agree > std::size_t{greenlets} * times * 8 / 10);
}

TEST_CASE("without a stop they are of one instant, or said to be torn") {
  constexpr int greenlets = 64, times = 50;
  const Child child({PYTHON, AGREEING_PY, SIDES_FOLDER, fmt::to_string(greenlets), "new"});
  REQUIRE(child.has("id.0"));
  const Counts counts = inspect(child, Stopping::never, times);
  CHECK(counts.disagree == 0);
  CHECK(counts.other == 0);
  CHECK(counts.agree + counts.torn > std::size_t{greenlets} * times * 8 / 10);
}
