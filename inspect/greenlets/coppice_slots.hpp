// The pools of slots in which our runtime keeps greenlets and threads, copied by whole chunks.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "inspect/greenlets/coppice_table.hpp"

namespace coppice::inspect {

/// The fields of a greenlet slot; see coppice_debug_greenlet_layout for what they mean.
struct GreenletSlot {
  Address address = 0;
  std::uint64_t version = 0, id = 0;
  std::uint32_t state = 0, flags = 0;
  Address thread = 0, parent = 0, start = 0, stop = 0, copy = 0;
  std::uint64_t saved = 0;
  Address name = 0, spawn_pc = 0;
  std::uint64_t spawner = 0, switches = 0, bytes_saved = 0, bytes_restored = 0, last_switch = 0;
  Address waiting_kind = 0;
  std::uint64_t waiting_value = 0;
};

/// The fields of a thread slot; see coppice_debug_thread_layout.
struct ThreadSlot {
  Address address = 0;
  std::uint32_t tid = 0;  ///< inside the target's PID namespace
  Address current = 0, main = 0, stack_low = 0, stack_high = 0;
  std::uint64_t switches = 0, bytes_copied = 0;
};

/// `bytes` holds a whole slot; the layout has been checked against its size.
GreenletSlot decode(const coppice_debug_greenlet_layout& layout, Address address,
                    std::span<const std::byte> bytes);
ThreadSlot decode(const coppice_debug_thread_layout& layout, Address address,
                  std::span<const std::byte> bytes);

/// How large a pool may be: a target can claim anything, and this bounds what we allocate for its claims.
struct PoolLimits {
  std::uint64_t slots = 64U << 20U;
  std::uint64_t bytes = 1U << 30U;  ///< all chunks together
};

/// A copy of one pool. Chunks that overlap are refused, so a copy is never larger than what the target has
/// mapped, rounded up to whole chunks.
class PoolCopy {
 public:
  /// Reads the chunk addresses, following the pool's version while it grows, then all chunks. `pool` lies at
  /// `pool_address` and has been checked. `corrupt`, `unreadable` (the chunk addresses).
  static Result<PoolCopy> read(const Memory& memory, const coppice_debug_pool& pool, Address pool_address,
                               const PoolLimits& limits);

  /// Reads the same chunks once more, into another copy.
  PoolCopy read_once_more(const Memory& memory) const;

  std::size_t slots() const noexcept { return chunks_.size() * slots_per_chunk_; }
  Address address(std::size_t slot) const noexcept;
  /// The slot that begins at an address; none when none does.
  std::optional<std::size_t> slot_at(Address address) const noexcept;
  /// A slot that could not be read is all zeros, which means that it is free.
  std::span<const std::byte> bytes(std::size_t slot) const noexcept;
  /// The 64-bit word that every slot has at that offset.
  std::uint64_t word(std::size_t slot, std::uint16_t offset) const noexcept;
  /// The first address that could not be read the last time; none when all could.
  std::optional<Address> unreadable() const noexcept { return unreadable_; }

 private:
  PoolCopy() = default;
  void read_chunks(const Memory& memory);
  std::size_t chunk_size() const noexcept { return slots_per_chunk_ * slot_size_; }

  std::vector<Address> chunks_;  ///< sorted
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t slots_per_chunk_ = 0, slot_size_ = 0;
  std::optional<Address> unreadable_;
};

}  // namespace coppice::inspect
