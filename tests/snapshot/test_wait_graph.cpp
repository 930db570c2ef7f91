// Who waits for whom: groups, chains and circles.
#include <string>

#include "inspect/export/json.hpp"
#include "inspect/export/text.hpp"
#include "inspect/snapshot/wait_graph.hpp"
#include "json_contract.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;

namespace {

using Numbers = std::vector<std::size_t>;

/// A greenlet of that number (its id, too), which waits for another one.
SnapshotGreenlet waits_for(std::size_t id, std::size_t other) {
  SnapshotGreenlet entry;
  entry.greenlet.id = std::to_string(id);
  entry.greenlet.provider = "cpython";
  entry.greenlet.state = State::suspended;
  entry.greenlet.waiting =
      Waiting{"greenlet", other, "the end of greenlet " + std::to_string(other), std::to_string(other)};
  return entry;
}

SnapshotGreenlet waits_for(std::size_t id, const char* kind, std::uint64_t value) {
  SnapshotGreenlet entry = waits_for(id, 0);
  entry.greenlet.waiting = Waiting{kind, value};
  return entry;
}

Snapshot snapshot_of(std::vector<SnapshotGreenlet> greenlets) {
  Snapshot snapshot;
  snapshot.greenlets = std::move(greenlets);
  count_states(snapshot);
  return snapshot;
}

std::string text_of(const Snapshot& snapshot) {
  std::string text;
  write_waits(snapshot, {}, [&text](std::string_view piece) {
    text += piece;
    return true;
  });
  return text;
}

}  // namespace

TEST_CASE("those that wait for the same are together, most first; timers are one's own") {
  const Snapshot snapshot =
      snapshot_of({waits_for(0, "timer", 5000), waits_for(1, "semaphore", 7), waits_for(2, "semaphore", 7),
                   waits_for(3, "timer", 100), waits_for(4, "semaphore", 8), waits_for(5, "timer", 1)});
  const WaitGraph graph = wait_graph(snapshot);
  REQUIRE(graph.groups.size() == 3);
  CHECK(graph.groups[0].waiting == Numbers{0, 3, 5});
  CHECK(graph.groups[1].waiting == Numbers{1, 2});
  CHECK(graph.groups[1].what == "semaphore 7");
  CHECK(graph.groups[2].waiting == Numbers{4});
  CHECK(graph.cycles.empty());
  CHECK(text_of(snapshot).starts_with(
      "3 greenlets wait for timers\n    0, 3, 5\n2 greenlets wait for semaphore 7\n"));
}

TEST_CASE("circles are found once each, whoever waits outside of them") {
  // 0 -> 1 -> 2 -> 0; 3 -> 1; 4 -> 4; 5 -> 6 -> a timer
  const Snapshot snapshot = snapshot_of({waits_for(0, 1), waits_for(1, 2), waits_for(2, 0), waits_for(3, 1),
                                         waits_for(4, 4), waits_for(5, 6), waits_for(6, "timer", 1)});
  const WaitGraph graph = wait_graph(snapshot);
  CHECK(graph.cycles == std::vector<Numbers>{{0, 1, 2}, {4}});
  CHECK(wait_chain(snapshot, 3) == Numbers{1, 2, 0, 1});
  CHECK(wait_chain(snapshot, 5) == Numbers{6});
  CHECK(wait_chain(snapshot, 6).empty());
  const std::string text = text_of(snapshot);
  CHECK(text.find("deadlock: 0 waits for 1 waits for 2 waits for 0\n") != std::string::npos);
  CHECK(text.find("greenlet 5 waits for the end of greenlet 6, which waits for timer 1\n") !=
        std::string::npos);
}

TEST_CASE("what is not known is said, and JSON has everything") {
  std::vector<SnapshotGreenlet> many;
  for (std::size_t i = 0; i < 40; ++i) many.push_back(waits_for(i, "event", 9));
  many.push_back(waits_for(40, 40));
  many.emplace_back().greenlet.state = State::suspended;
  many.back().greenlet.id = "41";
  many.back().greenlet.provider = "cpython";
  const Snapshot snapshot = snapshot_of(many);
  const std::string text = text_of(snapshot);
  CHECK(text.find(", 15, ...\n") != std::string::npos);
  CHECK(text.ends_with("1 suspended greenlet: what for is not known\n"));
  const auto document = nlohmann::json::parse(to_json(snapshot, {.frames = false, .waits = true}));
  REQUIRE(document["waits"].size() == 2);
  CHECK(document["waits"][0]["ids"].size() == 40);
  CHECK(document["waits"][1]["greenlet"] == "40");
  CHECK(document["cycles"] == nlohmann::json::parse(R"([["40"]])"));
}
