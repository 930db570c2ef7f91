// The second oracle's verdict: libdw unwinds the same stacks, the runtime's own innermost frames included.
#pragma once

#include "inspect/snapshot/snapshot.hpp"
#include "inspect/target/target.hpp"
#include "tests/oracle/comparison.hpp"

namespace coppice::oracle {

/// Unwinds by libdw every stack of the snapshot that reached its base, from the same registers and the
/// target's memory (which must not have changed), and adds what differs in any frame, and the counts, to
/// `comparison`. Fails when libdw cannot be set up or a module is missing.
inspect::Result<void> compare_with_libdw(const inspect::Target& target, const inspect::Snapshot& snapshot,
                                         Comparison& comparison);

}  // namespace coppice::oracle
