// The JSON exporter against its golden file and against the contract.
#include <nlohmann/json.hpp>

#include "golden.hpp"
#include "inspect/export/json.hpp"
#include "json_contract.hpp"
#include "sample_snapshot.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;
using nlohmann::json;

namespace {

std::string indented(const std::string& text) {
  return nlohmann::ordered_json::parse(text).dump(1) + "\n";
}

}  // namespace

TEST_CASE("the JSON of the sample is the golden one") {
  check_golden("backtraces.json", indented(to_json(sample_snapshot())));
  check_golden("groups.json", indented(to_json(sample_snapshot(), {.frames = true, .groups = true})));
}

TEST_CASE("the JSON keeps the contract, and is one line") {
  const auto [options, command] =
      GENERATE(std::pair{JsonOptions{.frames = false, .groups = false}, JsonOf::list},
               std::pair{JsonOptions{.frames = true, .groups = false}, JsonOf::backtraces},
               std::pair{JsonOptions{.frames = true, .groups = true}, JsonOf::groups});
  const std::string text = to_json(sample_snapshot(), options);
  CHECK(text.find('\n') == text.size() - 1);
  const json document = json::parse(text);
  CHECK(contract_violations(document, command) == std::vector<std::string>{});
  CHECK(document["greenlets"].size() == 8);
}

TEST_CASE("the contract check finds what is wrong") {
  json document = json::parse(to_json(sample_snapshot()));
  const char* pointer = GENERATE("/schema", "/target/kind", "/threads/0/tid", "/greenlets/2/id",
                                 "/greenlets/2/slice/saved", "/greenlets/2/frames/1/pc",
                                 "/greenlets/2/frames/1/inlined", "/greenlets/2/end", "/stats/torn");
  document[json::json_pointer(pointer)] = -1.5;
  CHECK(contract_violations(document, JsonOf::backtraces).size() == 1);
  const json::json_pointer place(pointer);
  document[place.parent_pointer()].erase(place.back());
  CHECK_FALSE(contract_violations(document, JsonOf::backtraces).empty());
}

TEST_CASE("an empty snapshot is a whole document") {
  Snapshot empty;
  empty.target.kind = "core";
  const json document = json::parse(to_json(empty));
  CHECK(contract_violations(document, JsonOf::backtraces).empty());
  CHECK(document["greenlets"] == json::array());
  CHECK(document["target"]["pid"].is_null());
}

TEST_CASE("local variables are in the frames whose variables were asked for") {
  const json document = json::parse(to_json(snapshot_with_locals()));
  CHECK(contract_violations(document, JsonOf::backtraces) == std::vector<std::string>{});
  const json& frames = document["greenlets"][0]["frames"];
  CHECK(frames[0]["locals"] == json::parse(R"([{"name": "amount", "value": "12"},
                                               {"name": "note", "value": "'\u001b[2J'"}])"));
  CHECK(frames[0]["locals_left_out"] == 3);
  CHECK(frames[1]["locals"].is_null());
  CHECK(frames[1]["locals_error"]["code"] == "torn");
  const json& greenlet = document["greenlets"][0];
  CHECK(greenlet["function"] == "Shop.serve");
  CHECK(greenlet["arguments"] == "1, name='x'");
  CHECK(greenlet["minimal_ident"] == 7);
  CHECK(greenlet["origin_error"].is_null());
  CHECK(greenlet["spawn_stack"] == json::parse(R"([{"function": "pay", "file": "shop.py", "line": 46}])"));
  CHECK(to_json(sample_snapshot()).find("locals") == std::string::npos);
}

TEST_CASE("names that are no UTF-8 do not break the document") {
  Snapshot snapshot = sample_snapshot();
  snapshot.greenlets[0].greenlet.name = "\xc3\x28 \x01 \\ \xed\xa0\x80";
  const json document = json::parse(to_json(snapshot));
  CHECK(document["greenlets"][0]["name"].get<std::string>().find("\\ ") != std::string::npos);
}

TEST_CASE("a sink that takes no more ends the export at once") {
  Snapshot snapshot = sample_snapshot();
  snapshot.greenlets.resize(10'000, snapshot.greenlets[2]);
  int calls = 0;
  CHECK_FALSE(write_json(snapshot, {}, [&calls](std::string_view) { return ++calls < 3; }));
  CHECK(calls == 3);
}
