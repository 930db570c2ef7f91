// Equal stacks merged; frame titles; names of states.
#include <set>

#include "inspect/snapshot/snapshot.hpp"
#include "sample_snapshot.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

TEST_CASE("equal stacks are grouped, largest first") {
  const Snapshot snapshot = sample_snapshot();
  const std::vector<Group> groups = group_equal_stacks(snapshot);
  REQUIRE(groups.size() == 7);
  CHECK(groups[0].members == std::vector<std::size_t>{2, 3});  // equal frames, though differently saved
  for (std::size_t i = 2; i < groups.size(); ++i)
    CHECK(groups[i - 1].members.front() < groups[i].members.front());
}

TEST_CASE("state, end and every pc tell stacks apart") {
  Snapshot snapshot = sample_snapshot();
  snapshot.greenlets = {snapshot.greenlets[2], snapshot.greenlets[2]};
  CHECK(group_equal_stacks(snapshot).size() == 1);
  SECTION("state") {
    snapshot.greenlets[1].greenlet.state = State::orphaned;
  }
  SECTION("end") {
    snapshot.greenlets[1].end = End::truncated;
  }
  SECTION("a pc") {
    snapshot.greenlets[1].frames[3].pc += 1;
  }
  SECTION("depth") {
    snapshot.greenlets[1].frames.pop_back();
  }
  CHECK(group_equal_stacks(snapshot).size() == 2);
}

TEST_CASE("every greenlet is in exactly one group") {
  Snapshot snapshot = sample_snapshot();
  for (std::size_t i = 0; i < 5000; ++i) {
    snapshot.greenlets.push_back(snapshot.greenlets[2]);
    snapshot.greenlets.back().frames[1].pc += i % 100;
  }
  std::set<std::size_t> seen;
  for (const Group& group : group_equal_stacks(snapshot))
    seen.insert(group.members.begin(), group.members.end());
  CHECK(seen.size() == snapshot.greenlets.size());
  CHECK(group_equal_stacks(snapshot).size() == 7 + 99);
}

TEST_CASE("a frame's title is the best that is known") {
  Frame frame = sample_snapshot().greenlets[2].frames[2];
  CHECK(frame.title() == "read_line(Connection&)");
  frame.function = "";
  CHECK(frame.title() == "server+0x2a10");
  frame.module = "";
  CHECK(frame.title() == "0x0000555555556a10");
}

TEST_CASE("states have their contract's names") {
  CHECK(std::string(name(State::unstarted)) == "unstarted");
  CHECK(std::string(name(State::finished)) == "finished");
  CHECK(std::string(name(State::running)) == "running");
  CHECK(std::string(name(State::suspended)) == "suspended");
  CHECK(std::string(name(State::orphaned)) == "orphaned");
}
