// gldump on a living process.
#include <algorithm>
#include <set>

#include "program.hpp"
#include "tests/snapshot/json_contract.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect::testing;
using coppice::inspect::test::Child;
using nlohmann::json;

namespace {

std::string target(const Child& child) {
  return " -p " + std::to_string(child.pid());
}

bool calls_in_order(const std::vector<std::string>& frames, const std::vector<std::string>& wanted) {
  auto at = frames.begin();
  for (const std::string& function : wanted) {
    at =
        std::find_if(at, frames.end(), [&](const std::string& frame) { return frame.starts_with(function); });
    if (at == frames.end()) return false;
    ++at;
  }
  return true;
}

}  // namespace

TEST_CASE("every backtrace, with functions, lines and inlined frames") {
  const Child child({GLDUMP_SUBJECT, "8"});
  const Run run = gldump("bt --json" + target(child));
  INFO(run.err);
  REQUIRE(run.status == 0);
  const json document = run.json();
  CHECK(contract_violations(document, JsonOf::backtraces) == std::vector<std::string>{});
  CHECK(document["greenlets"].size() == child.at("greenlets"));
  CHECK(document["stats"]["incomplete"] == 0);
  CHECK(document["target"]["kind"] == "live");
  CHECK(document["target"]["pid"] == child.pid());

  const json worker = named(document, "worker-1");
  CHECK(worker["state"] == "suspended");
  CHECK(worker["end"] == "base");
  CHECK(worker["waiting"]["kind"] == "test");
  CHECK(worker["waiting"]["value"] == 1);
  CHECK(worker["tid"] == child.pid());
  CHECK(worker["switches"] == 1);
  CHECK(calls_in_order(functions(worker), {"subject::sleep_innermost", "subject::sleep_in_the_middle",
                                           "subject::inlined_call", "subject::work"}));
  for (const json& frame : worker["frames"]) {
    if (!frame["function"].is_string() ||
        frame["function"].get<std::string>().find("subject::inlined_call") == std::string::npos)
      continue;
    CHECK(frame["inlined"] == true);
    CHECK(frame["file"].get<std::string>().ends_with("subject.cpp"));
    CHECK(frame["line"] > 0);
  }

  const json outer = named(document, "outer");
  CHECK(outer["end"] == "base");
  CHECK(calls_in_order(functions(outer), {"subject::outer"}));
  CHECK(named(document, "inner")["parent"] == outer["id"]);
  CHECK(calls_in_order(functions(named(document, "inner")), {"subject::sleep_innermost", "subject::work"}));
  CHECK(named(document, "unborn")["state"] == "unstarted");
  CHECK(named(document, "unborn")["end"].is_null());
  CHECK(named(document, "done")["state"] == "finished");
  const json orphan = named(document, "orphan");
  CHECK(orphan["state"] == "orphaned");
  CHECK(orphan["end"] == "base");
  CHECK(orphan["tid"].is_null());
  CHECK(calls_in_order(functions(orphan), {"subject::sleep_innermost", "subject::work"}));

  const json main = main_of(document);
  CHECK(main["main"] == true);
  CHECK(main["state"] == "running");
  CHECK(main["end"] == "base");
  CHECK(calls_in_order(functions(main), {"main"}));
  CHECK(document["threads"][0]["current"] == main["id"]);
  CHECK(document["threads"][0]["main"] == main["id"]);

  // Newest switch last: those never switched to, then in the order of their last switch.
  CHECK(document["greenlets"].front() == named(document, "unborn"));
  CHECK(document["greenlets"].back() == orphan);
}

TEST_CASE("text and JSON tell the same") {
  const Child child({GLDUMP_SUBJECT, "8"});
  const Run text = gldump("bt" + target(child));
  REQUIRE(text.status == 0);
  CHECK(text.out.find("\x1b[") == std::string::npos);
  const json document = gldump("bt --json" + target(child)).json();
  for (const json& greenlet : document["greenlets"]) {
    CHECK(text.out.find("Greenlet " + greenlet["id"].get<std::string>() + " ") != std::string::npos);
  }
  CHECK(text.out.find("(inlined)") != std::string::npos);
  CHECK(text.out.find("    base\n") != std::string::npos);
}

TEST_CASE("the list has a line for each, and no frames in JSON") {
  const Child child({GLDUMP_SUBJECT, "8"});
  const Run text = gldump("list" + target(child));
  REQUIRE(text.status == 0);
  CHECK(static_cast<std::uint64_t>(std::ranges::count(text.out, '\n')) == child.at("greenlets") + 1);
  CHECK(text.out.find("worker-1") != std::string::npos);
  const json document = gldump("list --json" + target(child)).json();
  CHECK(contract_violations(document, JsonOf::list) == std::vector<std::string>{});
  CHECK(document["greenlets"].size() == child.at("greenlets"));
}

TEST_CASE("equal backtraces are merged, largest first") {
  const Child child({GLDUMP_SUBJECT, "40"});
  const Run run = gldump("groups --json" + target(child));
  REQUIRE(run.status == 0);
  const json document = run.json();
  CHECK(contract_violations(document, JsonOf::groups) == std::vector<std::string>{});
  const json& groups = document["groups"];
  REQUIRE(groups.size() >= 3);
  CHECK(groups[0]["count"] >= 30);
  CHECK(groups[1]["count"] >= 10);
  const Run text = gldump("groups" + target(child));
  CHECK(text.out.starts_with(std::to_string(groups[0]["count"].get<int>()) + " greenlets: "));
}

TEST_CASE("greenlets are chosen by id, address and name") {
  const Child child({GLDUMP_SUBJECT, "8"});
  const json all = gldump("bt --json" + target(child)).json();
  const json wanted = named(all, "worker-1");
  for (const std::string key : {"id", "address", "name"}) {
    const Run run = gldump("bt --json " + wanted[key].get<std::string>() + target(child));
    REQUIRE(run.status == 0);
    const json document = run.json();
    REQUIRE(document["greenlets"].size() == 1);
    CHECK(document["greenlets"][0] == wanted);
  }
  const Run two = gldump("bt --json worker-0 worker-1" + target(child));
  CHECK(two.json()["greenlets"].size() == 2);

  const Run ambiguous = gldump("bt worker" + target(child));
  CHECK(ambiguous.status == 1);
  CHECK(ambiguous.out.empty());
  CHECK(ambiguous.err.find("0x") != std::string::npos);
  const Run unknown = gldump("bt --json worker-1 999999" + target(child));
  CHECK(unknown.status == 1);
  CHECK(unknown.out.empty());
  CHECK(unknown.err.find("999999") != std::string::npos);
}

TEST_CASE("without symbols the same pcs have modules and offsets") {
  const Child child({GLDUMP_SUBJECT, "8"});
  const json with = gldump("bt --json worker-0" + target(child)).json();
  const json without = gldump("bt --json --no-symbols worker-0" + target(child)).json();
  std::set<std::string> pcs, bare;
  for (const json& frame : with["greenlets"][0]["frames"]) pcs.insert(frame["pc"].get<std::string>());
  for (const json& frame : without["greenlets"][0]["frames"]) {
    bare.insert(frame["pc"].get<std::string>());
    CHECK(frame["function"].is_null());
    CHECK(frame["module"].get<std::string>() == GLDUMP_SUBJECT);
    CHECK(frame["offset"].is_string());
  }
  CHECK(pcs.size() > 4);
  CHECK(pcs == bare);
}

TEST_CASE("a thread on a CPU is walked when it may be stopped, and said not to be when not") {
  const Child child({GLDUMP_SUBJECT, "busy"});
  for (const bool blocking : {true, false}) {
    const Run run = gldump(std::string("bt --json") + (blocking ? "" : " --nonblocking") + target(child));
    CHECK((run.status == 0 ||
           run.status == 3));  // what switches without a pause may be torn, and is said to be
    const json document = run.json();
    CHECK(contract_violations(document, JsonOf::backtraces) == std::vector<std::string>{});
    CHECK(named(document, "worker-1")["end"] == "base");
    const json pong = named(document, "pong");
    for (const json& greenlet : document["greenlets"]) {
      const bool of_busy_thread = greenlet["id"] == pong["id"] || greenlet["id"] == pong["parent"];
      if (!of_busy_thread) {
        CHECK(greenlet["error"].is_null());
      } else if (greenlet["end"] != "base") {
        const std::string code = greenlet["error"]["code"];
        CHECK((code == "torn" || (code == "not_stopped" && !blocking)));
      }
    }
  }
}

TEST_CASE("a reader that has gone is no failure") {
  const Child child({GLDUMP_SUBJECT, "2000"});
  const auto piped =
      coppice::inspect::test::run(std::string("bash -c '") + GLDUMP + " bt --json --no-symbols" +
                                  target(child) + " | head -c 10; echo \" ${PIPESTATUS[0]}\"' 2>&1");
  CHECK(piped.text == "{\"schema\": 0\n");
}
