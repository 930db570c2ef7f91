// Slots that never move and are never given back to the system, so that a reader outside can copy whole
// chunks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "coppice/debug_abi.h"

namespace coppice::internal {

/// Adds a chunk of zeroed slots to a published pool and returns its first slot, or nullptr for want of
/// memory. The caller holds registry_mutex and hands the slots out.
std::byte* add_chunk(coppice_debug_pool& pool) noexcept;

/// Calls visit(slot) for every slot, free or not. The caller holds registry_mutex.
template <class Slot, class Visit>
void for_each_slot(const coppice_debug_pool& pool, Visit visit) {
  const auto* const chunks = reinterpret_cast<const std::uint64_t*>(pool.chunks);
  for (std::uint64_t chunk = 0; chunk < pool.chunk_count; ++chunk) {
    for (std::uint32_t slot = 0; slot < pool.slots_per_chunk; ++slot)
      visit(reinterpret_cast<Slot*>(chunks[chunk])[slot]);
  }
}

}  // namespace coppice::internal
