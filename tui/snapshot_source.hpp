// Where gltop gets its Snapshots from.
#pragma once

#include "inspect/snapshot/session.hpp"

namespace coppice::tui {

/// Takes Snapshots, one after the other. gltop's own is SessionSource; the tests make theirs up.
/// Thread-safety: one thread at a time; the Sampler's thread once it was given to a Sampler.
class SnapshotSource {
 public:
  SnapshotSource() = default;
  SnapshotSource(const SnapshotSource&) = delete;
  SnapshotSource& operator=(const SnapshotSource&) = delete;
  virtual ~SnapshotSource() = default;

  /// The contract of inspect::Session::take.
  virtual inspect::Result<inspect::Snapshot> take(const inspect::SnapshotOptions& options) = 0;
};

}  // namespace coppice::tui
