// One trial: a coppice-zoo inspected live, from gcore's core and from the kernel's core of the same process.
#pragma once

#include <string>
#include <vector>

#include "inspect/base/result.hpp"
#include "tests/oracle/comparison.hpp"

namespace coppice::oracle {

/// One inspection of the process.
struct Inspection {
  std::string how;         ///< "live", "gcore" or "kernel core"
  Comparison comparison;   ///< all zero when it could not be made
  std::string impossible;  ///< why it could not be made here (no gcore, core_pattern); empty when it was
};

/// Starts the program, inspects it in all three ways and ends it. Fails when anything but the making of a
/// core fails.
inspect::Result<std::vector<Inspection>> inspect_in_every_way(const std::string& program,
                                                              const std::vector<std::string>& arguments);

/// At least one of the cores could be made and inspected.
bool has_core(const std::vector<Inspection>& inspections);

/// Starts the program and lets it go: every greenlet must find its frames as it left them. The exit status.
inspect::Result<int> let_finish(const std::string& program, const std::vector<std::string>& arguments);

/// COPPICE_SEED from the environment, or a random one.
std::uint64_t seed_for_this_run();

/// What is missing for a forest to be a fair trial, or empty: at least 5,000 greenlets, 5 % partly saved, 1 %
/// with nothing saved, 1,000 distinct stacks.
std::string missing_variety(const Comparison& comparison);

}  // namespace coppice::oracle
