// The memory of a process that is no more, put together from its core and the files it had mapped.
#pragma once

#include <cstdint>
#include <vector>

#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// A list of extents, each saying where the bytes of a range of addresses are: in the core, in a file, or
/// nowhere.
///
///     [core][core][ hole ][ file ]      [core]
///                  known     read-only   nothing known: unreadable too
///                  missing   pages the core leaves out
///
/// Earlier extents win: what the core has, and what it has promised but lost, is never replaced from a file.
/// Thread-safety: as its sources.
class CoreMemory final : public Memory {
 public:
  struct Extent {
    Address start = 0;
    Address end = 0;
    const Memory* source = nullptr;  ///< null: a hole. Must outlive the CoreMemory
    std::uint64_t offset = 0;        ///< in the source, of the byte at `start`
  };

  CoreMemory() = default;
  /// Extents in any order; of overlapping ones that which begins first keeps its place.
  explicit CoreMemory(std::vector<Extent> extents);

  /// Adds extents where there are none yet.
  void fill(const std::vector<Extent>& more);

  void read_batch(std::span<ReadRequest> requests) const override;

  /// The extent that holds an address, or null.
  const Extent* extent_at(Address address) const;

 private:
  std::vector<Extent> extents_;  // sorted, disjoint
};

}  // namespace coppice::inspect
