// How the Symbolizer retreats from what kills or stalls the worker: the address alone, then the module's
// debug information, then its symbol tables.
#include <map>
#include <string>

#include "inspect/symbols/symbolizer.hpp"
#include "inspect/worker/worker.hpp"
#include "tests/support/catch.hpp"
#include "tests/symbols/image_target.hpp"

namespace coppice::inspect::test {
namespace {

/// A module whose addresses do as the touchy worker is told.
struct Touchy {
  Touchy() : worker({.program = TOUCHY_WORKER_PROGRAM, .silence_limit_ms = 20'000}), symbolizer(worker) {
    bias = target.add("touchy", [] { return Result(file_of("anything")); });
  }
  /// Names by offset; "" for an address shown as its offset.
  std::map<std::uint64_t, std::string> name(const std::vector<std::uint64_t>& offsets) {
    std::vector<SymbolQuery> queries;
    for (const auto offset : offsets) queries.push_back({bias + offset, true});
    std::map<std::uint64_t, std::string> names;
    for (const auto* answer : symbolizer.symbolize(target, queries)) {
      REQUIRE(answer->frames.size() == 1);
      names[answer->offset] = answer->frames[0].function;
    }
    return names;
  }

  ImageTarget target;
  Worker worker;
  Symbolizer symbolizer;
  std::uint64_t bias = 0;
};

using Names = std::map<std::uint64_t, std::string>;

}  // namespace

TEST_CASE("an address that crashes the reader is named by symbols, its neighbours in full") {
  Touchy touchy;
  CHECK(touchy.name({0x10, 0x21, 0x30, 0x40}) ==
        Names{{0x10, "full"}, {0x21, "symbols"}, {0x30, "full"}, {0x40, "full"}});
  CHECK(touchy.name({0x50}) == Names{{0x50, "full"}});
  CHECK(touchy.symbolizer.take_warnings().size() == 1);
}

TEST_CASE("debug information that keeps crashing the reader is given up") {
  Touchy touchy;
  CHECK(touchy.name({0x10, 0x21}) == Names{{0x10, "full"}, {0x21, "symbols"}});
  CHECK(touchy.name({0x31, 0x41}) == Names{{0x31, "symbols"}, {0x41, "symbols"}});
  CHECK(touchy.name({0x50}) == Names{{0x50, "symbols"}});
  CHECK(touchy.name({0x10}) == Names{{0x10, "full"}});  // remembered
  const auto warnings = touchy.symbolizer.take_warnings();
  REQUIRE(warnings.size() == 2);
  CHECK_THAT(warnings[0], Catch::Matchers::Contains("0x21"));
  CHECK_THAT(warnings[1], Catch::Matchers::Contains("symbol tables only"));
}

TEST_CASE("where symbol tables crash the reader too, addresses stay offsets") {
  Touchy touchy;
  CHECK(touchy.name({0x12, 0x22, 0x30}) == Names{{0x12, ""}, {0x22, ""}, {0x30, ""}});
  CHECK(touchy.name({0x40}) == Names{{0x40, ""}});
  const auto restarts = touchy.worker.restarts();
  CHECK(touchy.name({0x52}) == Names{{0x52, ""}});
  CHECK(touchy.worker.restarts() == restarts);  // not asked any more
}

TEST_CASE("debug information that stalls the reader is given up at once") {
  Touchy touchy;
  CHECK(touchy.name({0x10, 0x23, 0x30}) == Names{{0x10, "symbols"}, {0x23, "symbols"}, {0x30, "symbols"}});
  CHECK(touchy.worker.restarts() == 1);
  const auto warnings = touchy.symbolizer.take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Catch::Matchers::Contains("took too long"));
}

TEST_CASE("an answer that makes no sense is a crash") {
  Touchy touchy;
  CHECK(touchy.name({0x10, 0x24, 0x30}) == Names{{0x10, "full"}, {0x24, ""}, {0x30, "full"}});
  CHECK_FALSE(touchy.symbolizer.take_warnings().empty());
}

TEST_CASE("more addresses than fit into one request are all answered") {
  Touchy touchy;
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t offset = 0; offset < 0x10 * 10'000; offset += 0x10) offsets.push_back(offset);
  const auto names = touchy.name(offsets);
  CHECK(names.size() == offsets.size());
  for (const auto& [offset, name] : names) REQUIRE(name == "full");
}

}  // namespace coppice::inspect::test
