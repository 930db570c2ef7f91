// The target is killed while gldump looks at it.
#include <signal.h>

#include <chrono>
#include <random>
#include <thread>

#include "program.hpp"
#include "tests/snapshot/json_contract.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect::test;
using namespace coppice::inspect::testing;

TEST_CASE("whenever the target dies, the answer is honest") {
  std::mt19937 random(20);
  int told = 0;
  for (int i = 0; i < 25; ++i) {
    const Child child({GLDUMP_SUBJECT, "300"});
    std::thread killer([pid = child.pid(), delay = random() % 60'000] {
      std::this_thread::sleep_for(std::chrono::microseconds(delay));
      kill(pid, SIGKILL);
    });
    const Run run = gldump("bt --json -p " + std::to_string(child.pid()));
    killer.join();
    INFO(i << ": " << run.status << " " << run.err);
    CHECK((run.status == 0 || run.status == 1 || run.status == 3));
    CHECK((run.status == 1) == run.out.empty());
    if (run.status == 1) CHECK(run.err.starts_with("gldump: "));
    if (run.status != 0) ++told;
    if (run.status == 1) continue;
    const auto document = run.json();
    CHECK(contract_violations(document, JsonOf::backtraces) == std::vector<std::string>{});
    if (document["target"]["died"] == true) CHECK(run.status == 3);
  }
  CHECK(told > 0);
}
