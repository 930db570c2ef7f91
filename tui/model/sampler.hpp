// Sampler: Samples of a source, taken in the background.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

#include "tui/model/periodic.hpp"
#include "tui/model/sample.hpp"
#include "tui/snapshot_source.hpp"

namespace coppice::tui {

/// What came out of one attempt: a Sample, or why there is none.
struct Update {
  std::shared_ptr<const Sample> sample;
  std::optional<inspect::Error> error;
};

using Sampler = Periodic<Update>;

/// Which frames the next Sample has: set by a key, read in the Sampler's thread.
using SharedChoice = std::shared_ptr<std::atomic<inspect::FrameChoice>>;

/// Work for a Sampler: takes a snapshot, measures it, and compares it with the one before. `choice` stands
/// for that of the options.
Sampler::Work sampling(std::unique_ptr<SnapshotSource> source, inspect::SnapshotOptions options,
                       SharedChoice choice);

}  // namespace coppice::tui
