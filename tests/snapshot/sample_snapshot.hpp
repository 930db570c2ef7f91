// A hand-made Snapshot in which every state, every kind of end and every unknown occurs.
#pragma once

#include "inspect/snapshot/snapshot.hpp"

namespace coppice::inspect::testing {

/// Always the same, also its times. Ids 1 (main, running, not walked) to 8.
Snapshot sample_snapshot();

/// One Python greenlet with two frames: one whose variables are known, one whose are not.
Snapshot snapshot_with_locals();

}  // namespace coppice::inspect::testing
