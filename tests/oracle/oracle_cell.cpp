// oracle_cell ZOO SEED: the oracle on one build of the zoo; for tests/oracle/matrix. Prints one line for each
// inspection; exit status 0 only when there was something to compare and nothing differed.
#include <cstdio>
#include <string>

#include "tests/oracle/trial.hpp"

using namespace coppice::oracle;

namespace {

bool report(const char* subject, const Inspection& inspection, bool forest) {
  const Comparison& c = inspection.comparison;
  if (!inspection.impossible.empty()) {
    std::printf("%-6s %-11s not made here: %s\n", subject, inspection.how.c_str(),
                inspection.impossible.c_str());
    return inspection.how != "live";
  }
  const std::string missing =
      forest ? missing_variety(c) : std::string(c.stacks < 21 ? "stacks missing" : "");
  std::printf(
      "%-6s %-11s %5ju greenlets, %6ju frames compared, %ju differing; %ju partly saved, %ju unsaved, %ju "
      "distinct%s%s\n",
      subject, inspection.how.c_str(), c.greenlets, c.frames, c.differing, c.partly_saved, c.unsaved,
      c.distinct_stacks, missing.empty() ? "" : ": ", missing.c_str());
  for (const std::string& difference : c.differences) std::printf("       %s\n", difference.c_str());
  return c.differing == 0 && missing.empty();
}

bool try_one(const char* subject, const std::string& zoo, const std::vector<std::string>& arguments,
             bool forest) {
  const auto inspections = inspect_in_every_way(zoo, arguments);
  if (!inspections.ok()) {
    std::printf("%-6s failed: %s\n", subject, inspections.error().message.c_str());
    return false;
  }
  bool good = true;
  for (const Inspection& inspection : inspections.value()) good &= report(subject, inspection, forest);
  const auto status = let_finish(zoo, arguments);
  if (status.ok() && status.value() == 0) return good;
  std::printf("%-6s did not finish: %s\n", subject,
              status.ok() ? std::to_string(status.value()).c_str() : status.error().message.c_str());
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("Usage: oracle_cell ZOO SEED\n", stderr);
    return 2;
  }
  const bool zoo = try_one("zoo", argv[1], {}, false);
  const bool forest =
      try_one("forest", argv[1], {"--nest", "5000", "--threads", "4", "--seed", argv[2]}, true);
  return zoo && forest ? 0 : 1;
}
