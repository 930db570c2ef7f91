// oracle_cell ZOO SEED: the oracle on one build of the zoo; for tests/oracle/matrix. Prints one line for each
// inspection and their sum; exit status 0 only when there was something to compare and nothing differed.
#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "tests/oracle/trial.hpp"

using namespace coppice::oracle;

namespace {

/// What makes a trial unfair or incomplete, or empty.
std::string missing(const Inspection& inspection, bool forest) {
  const Comparison& c = inspection.comparison;
  if (c.cut > (inspection.how == "live" ? 5U : 0U)) return fmt::format("{} stacks cut", c.cut);
  if (forest) return missing_variety(c);
  return c.stacks < 21 ? fmt::format("only {} stacks", c.stacks) : std::string();
}

/// Over all inspections.
struct Sum {
  std::uint64_t greenlets = 0;
  std::uint64_t frames = 0;
  std::uint64_t libdw_frames = 0;
  std::uint64_t differing = 0;
  std::uint64_t cut = 0;

  void add(const Comparison& c) {
    greenlets += c.greenlets;
    frames += c.frames;
    libdw_frames += c.libdw_frames;
    differing += c.differing;
    cut += c.cut;
  }
};

bool report(const char* subject, const Inspection& inspection, bool forest) {
  const Comparison& c = inspection.comparison;
  if (!inspection.impossible.empty()) {
    fmt::print("{:6} {:11} not made here: {}\n", subject, inspection.how, inspection.impossible);
    return true;
  }
  const std::string lacks = missing(inspection, forest);
  fmt::print(
      "{:6} {:11} {:5} greenlets, {:6} frames compared, {} differing; {} partly saved, {} unsaved, {} "
      "distinct{}{}{}\n",
      subject, inspection.how, c.greenlets, c.frames, c.differing, c.partly_saved, c.unsaved,
      c.distinct_stacks, c.cut > 0 ? fmt::format(", {} cut (running, rbp not to be known)", c.cut) : "",
      lacks.empty() ? "" : "; FAILED: ", lacks);
  for (const std::string& difference : c.differences) fmt::print("       {}\n", difference);
  return c.differing == 0 && lacks.empty();
}

bool try_one(const char* subject, const std::string& zoo, const std::vector<std::string>& arguments,
             bool forest, Sum& sum) {
  const auto inspections = inspect_in_every_way(zoo, arguments);
  if (!inspections.ok()) {
    fmt::print("{:6} failed: {}\n", subject, inspections.error().message);
    return false;
  }
  bool good = true;
  for (const Inspection& inspection : inspections.value()) {
    good &= report(subject, inspection, forest);
    sum.add(inspection.comparison);
  }
  if (!has_core(inspections.value())) {
    fmt::print("{:6} failed: no core could be made\n", subject);
    good = false;
  }
  const auto status = let_finish(zoo, arguments);
  if (status.ok() && status.value() == 0) return good;
  fmt::print("{:6} did not finish: {}\n", subject,
             status.ok() ? fmt::format("status {}", status.value()) : status.error().message);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("Usage: oracle_cell ZOO SEED\n", stderr);
    return 2;
  }
  Sum sum;
  const bool zoo = try_one("zoo", argv[1], {}, false, sum);
  const bool forest =
      try_one("forest", argv[1], {"--nest", "5000", "--threads", "4", "--seed", argv[2]}, true, sum);
  fmt::print(
      "sum {} greenlets, {} frames compared with libgcc's, {} with libdw's, {} differing, {} running stacks "
      "cut\n",
      sum.greenlets, sum.frames, sum.libdw_frames, sum.differing, sum.cut);
  return zoo && forest ? 0 : 1;
}
