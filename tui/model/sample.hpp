// Sample: a Snapshot and what only two of them can tell: rates.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"

namespace coppice::tui {

/// One reading of the target, ready to be shown. Immutable, and so shared freely between threads.
struct Sample {
  inspect::Snapshot snapshot;
  std::chrono::nanoseconds cost{};  ///< what taking the snapshot took, from call to return

  /// Per greenlet of the snapshot: switches to it per second; empty where there is nothing to compare with.
  std::vector<std::optional<double>> switch_rates;
  std::optional<double> switches_per_second;  ///< of the whole target
  std::optional<double> bytes_per_second;     ///< saved and restored

  std::uint64_t slice_bytes = 0;  ///< held in the heap by all slices together
  std::uint64_t torn_so_far = 0;  ///< torn readings of this and all former Samples
  std::uint64_t lost_so_far = 0;

  bool counted = false;  ///< some greenlet's switches are counted

  std::size_t longest_id = 0;  ///< bytes
  std::size_t longest_name = 0;
  std::size_t longest_waiting = 0;

  /// Index of the greenlet with an id, into snapshot.greenlets.
  std::optional<std::size_t> find(std::string_view id) const;

  std::unordered_map<std::string_view, std::size_t> by_id;  ///< keys point into `snapshot`
};

/// Makes Samples out of the Snapshots of one target, in their order.
class SampleMaker {
 public:
  std::shared_ptr<const Sample> make(inspect::Snapshot snapshot, std::chrono::nanoseconds cost);

 private:
  std::shared_ptr<const Sample> previous_;
};

}  // namespace coppice::tui
