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

}  // namespace coppice::internal
