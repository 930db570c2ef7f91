// The comparison itself: every kind of difference is noticed, so that "0 differing" means something.
#include "tests/oracle/comparison.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::oracle;
using coppice::inspect::End;
using coppice::inspect::Snapshot;
using coppice::inspect::State;

namespace {

constexpr Address resume_pc = 0x1000;

Announcement announcement() {
  const auto parsed = parse_announcement(
      "coppice-zoo 1 42 0 1000\n"
      "greenlet 1 42 suspended - 2000:7f00 2100:7f40:exact 2200:7f80\n"
      "greenlet 2 42 unstarted idle\n"
      "end 2\n");
  REQUIRE(parsed.ok());
  return parsed.value();
}

/// What an inspector that is right would show.
Snapshot right_snapshot() {
  Snapshot snapshot;
  auto& sleeper = snapshot.greenlets.emplace_back();
  sleeper.greenlet.id = "1";
  sleeper.greenlet.state = State::suspended;
  sleeper.greenlet.tid = 42;
  sleeper.greenlet.slice = {0x7e00, 0x8000, 0x5000, 0x100};
  sleeper.end = End::base;
  const AnnouncedFrame frames[] = {{resume_pc, 0x7e00, false},
                                   {0x1500, 0x7e80, false},
                                   {0x2000, 0x7f00, false},
                                   {0x2100, 0x7f40, true},
                                   {0x2200, 0x7f80, false}};
  for (const AnnouncedFrame& frame : frames) {
    auto& shown = sleeper.frames.emplace_back();
    shown.pc = frame.pc;
    shown.sp = frame.sp;
    shown.exact = frame.exact;
  }
  auto& idle = snapshot.greenlets.emplace_back();
  idle.greenlet.id = "2";
  idle.greenlet.name = "idle";
  idle.greenlet.state = State::unstarted;
  idle.greenlet.tid = 42;
  return snapshot;
}

}  // namespace

TEST_CASE("a right snapshot has no differences, and everything is counted") {
  const Comparison c = compare(announcement(), right_snapshot());
  CHECK(c.differing == 0);
  CHECK(c.greenlets == 2);
  CHECK(c.stacks == 1);
  CHECK(c.frames == 3);
  CHECK(c.switch_frames == 2);
  CHECK(c.partly_saved == 1);
  CHECK(c.unsaved == 0);
  CHECK(c.distinct_stacks == 1);
}

TEST_CASE("a running greenlet of which only pc and sp are known may be cut, and only such a one") {
  Announcement announced = announcement();
  announced.greenlets[0].state = "running";
  Snapshot snapshot = right_snapshot();
  auto& runner = snapshot.greenlets[0];
  runner.greenlet.state = State::running;
  runner.frames.resize(4);
  runner.end = End::truncated;
  runner.error.emplace();
  SECTION("with two of the announced frames") {
    const Comparison c = compare(announced, snapshot);
    CHECK(c.differing == 0);
    CHECK(c.cut == 1);
    CHECK(c.frames == 2);
  }
  SECTION("before any of them") {
    runner.frames.resize(1);
    const Comparison c = compare(announced, snapshot);
    CHECK(c.differing == 0);
    CHECK(c.cut == 1);
    CHECK(c.frames == 0);
  }
  SECTION("not with a wrong frame") {
    runner.frames[3].sp += 8;
    CHECK(compare(announced, snapshot).differing == 1);
  }
  SECTION("not without any frame") {
    runner.frames.clear();
    CHECK(compare(announced, snapshot).differing == 1);
  }
  SECTION("not when its registers are known") {
    runner.greenlet.registers.set(coppice::inspect::x86_64::rbp, 0x7f00);
    CHECK(compare(announced, snapshot).differing == 1);
  }
}

TEST_CASE("every kind of difference is noticed") {
  Snapshot wrong = right_snapshot();
  auto& sleeper = wrong.greenlets[0];
  SECTION("a pc") {
    sleeper.frames[4].pc ^= 1;
  }
  SECTION("a pc that is taken as exact") {
    sleeper.frames[4].exact = true;
  }
  SECTION("a pc that is not taken as exact") {
    sleeper.frames[3].exact = false;
  }
  SECTION("an sp") {
    sleeper.frames[3].sp += 8;
  }
  SECTION("where it continues") {
    sleeper.frames[0].pc += 1;
  }
  SECTION("the sp it continues with") {
    sleeper.frames[0].sp += 8;
  }
  SECTION("a frame too few") {
    sleeper.frames.pop_back();
  }
  SECTION("a frame too many") {
    sleeper.frames.push_back(sleeper.frames.back());
  }
  SECTION("no frames") {
    sleeper.frames.clear();
  }
  SECTION("a walk that did not reach the base") {
    sleeper.end = End::truncated;
  }
  SECTION("an error") {
    sleeper.error.emplace();
  }
  SECTION("another state") {
    sleeper.greenlet.state = State::running;
  }
  SECTION("another name") {
    sleeper.greenlet.name = "someone";
  }
  SECTION("another thread") {
    sleeper.greenlet.tid = 43;
  }
  SECTION("frames where there is no stack") {
    wrong.greenlets[1].frames.emplace_back();
  }
  SECTION("a greenlet too few") {
    wrong.greenlets.pop_back();
  }
  SECTION("a greenlet too many") {
    wrong.greenlets.emplace_back().greenlet.id = "3";
  }
  const Comparison c = compare(announcement(), wrong);
  CHECK(c.differing == 1);
  CHECK(c.differences.size() == 1);
}

TEST_CASE("an announcement that is cut short or garbled is refused") {
  CHECK_FALSE(parse_announcement("").ok());
  CHECK_FALSE(parse_announcement("coppice-zoo 1 42 0 1000\n").ok());
  CHECK_FALSE(parse_announcement("coppice-zoo 1 42 0 1000\nend 1\n").ok());
  CHECK_FALSE(parse_announcement("coppice-zoo 2 42 0 1000\nend 0\n").ok());
  CHECK_FALSE(
      parse_announcement("coppice-zoo 1 42 0 1000\ngreenlet 1 42 suspended - 20:30:inexact\nend 1\n").ok());
  CHECK_FALSE(parse_announcement("coppice-zoo 1 42 0 1000\ngreenlet 1\nend 1\n").ok());
}
