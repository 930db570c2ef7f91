// The main oracle: what the inspector shows of every greenlet is what the greenlet recorded of itself, by
// libgcc's unwinder, right before it switched away.
#include <cstdio>
#include <string>
#include <vector>

#include "tests/oracle/trial.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::oracle;

namespace {

const std::string zoo = COPPICE_ZOO;

void require_equal(const Inspection& inspection) {
  const Comparison& c = inspection.comparison;
  std::printf(
      "%s: %ju greenlets, %ju stacks, %ju frames compared, %ju by libdw, %ju partly saved, %ju "
      "unsaved, "
      "%ju distinct stacks, %ju differing\n",
      inspection.how.c_str(), c.greenlets, c.stacks, c.frames, c.libdw_frames, c.partly_saved, c.unsaved,
      c.distinct_stacks, c.differing);
  for (const std::string& difference : c.differences) UNSCOPED_INFO(difference);
  CHECK(c.differing == 0);
  if (c.cut == 0) CHECK(c.libdw_frames == c.frames + c.switch_frames);
  if (inspection.how != "live") CHECK(c.cut == 0);
}

/// Without those that this machine could not make, which are named. At least one core is among the others.
std::vector<Inspection> those_made(std::vector<Inspection> all) {
  CHECK(has_core(all));
  std::erase_if(all, [](const Inspection& inspection) {
    if (inspection.impossible.empty()) return false;
    std::printf("%s: not made here: %s\n", inspection.how.c_str(), inspection.impossible.c_str());
    return true;
  });
  return all;
}

}  // namespace

TEST_CASE("every frame shape is unwound, live and from cores") {
  const auto inspections = inspect_in_every_way(zoo, {});
  INFO((inspections.ok() ? "" : inspections.error().message));
  REQUIRE(inspections.ok());
  REQUIRE(inspections->size() == 3);
  for (const Inspection& inspection : those_made(inspections.value())) {
    require_equal(inspection);
    CHECK(inspection.comparison.greenlets == 23);  // 17 shapes, main, 3 scenes, unstarted, finished
    CHECK(inspection.comparison.stacks == 21);
    CHECK(inspection.comparison.partly_saved == 1);
    CHECK(inspection.comparison.unsaved == 2);  // main and "unsaved"
    CHECK(inspection.comparison.cut <= 1);
  }
}

TEST_CASE("thousands of randomly nested greenlets are unwound, live and from cores") {
  const std::string seed = std::to_string(seed_for_this_run());
  std::printf("COPPICE_SEED=%s\n", seed.c_str());
  INFO("COPPICE_SEED=" << seed);
  const auto inspections = inspect_in_every_way(zoo, {"--nest", "5000", "--threads", "4", "--seed", seed});
  INFO((inspections.ok() ? "" : inspections.error().message));
  REQUIRE(inspections.ok());
  REQUIRE(inspections->size() == 3);
  for (const Inspection& inspection : those_made(inspections.value())) {
    require_equal(inspection);
    CHECK(inspection.comparison.greenlets == 5'005);  // and a main greenlet in each of 5 threads
    CHECK(missing_variety(inspection.comparison).empty());
    CHECK(inspection.comparison.cut <= 5);
  }
}

TEST_CASE("every greenlet of the zoo and of a forest finds its frames as it left them") {
  const auto exhibit = let_finish(zoo, {});
  REQUIRE(exhibit.ok());
  CHECK(exhibit.value() == 0);
  const std::string seed = std::to_string(seed_for_this_run());
  INFO("COPPICE_SEED=" << seed);
  const auto forest = let_finish(zoo, {"--nest", "5000", "--threads", "4", "--seed", seed});
  REQUIRE(forest.ok());
  CHECK(forest.value() == 0);
}
