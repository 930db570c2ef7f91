// Memories for tests and fuzzing: bytes that were never in a process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// Memory made of regions put at chosen addresses; everything else is unreadable.
/// Thread-safety: const reads may run concurrently.
class FakeMemory final : public Memory {
 public:
  /// Puts a copy of `bytes` at `address`, over whatever is there.
  void put(Address address, std::span<const std::byte> bytes);

  template <class T>
  void put_value(Address address, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    put(address, std::as_bytes(std::span(&value, 1)));
  }

  /// Makes [address, address + size) unreadable.
  void remove(Address address, std::uint64_t size);

  void read_batch(std::span<ReadRequest> requests) const override;

 private:
  std::map<Address, std::vector<std::byte>> regions_;  // disjoint
};

/// Another memory whose Nth read fails: the loop over every N proves that a reader survives each of its
/// failures. Reads are counted one for each request of a batch, from 0 on.
class FailNth final : public Memory {
 public:
  static constexpr std::uint64_t kNever = UINT64_MAX;

  /// `memory` must outlive this object. `fails_after`: false, only that one read; true, it and all later
  /// ones, as when the target dies.
  explicit FailNth(const Memory& memory, std::uint64_t nth = kNever, bool fails_after = false)
      : memory_(memory), nth_(nth), fails_after_(fails_after) {}

  void read_batch(std::span<ReadRequest> requests) const override;

  std::uint64_t reads() const noexcept { return reads_; }

 private:
  const Memory& memory_;
  std::uint64_t nth_;
  bool fails_after_;
  mutable std::uint64_t reads_ = 0;
};

}  // namespace coppice::inspect
