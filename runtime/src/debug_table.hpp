// The one instance of coppice_debug_table (debug_abi.h), as the runtime changes it.
#pragma once

#include "coppice/debug_abi.h"

namespace coppice::internal {

coppice_debug_clock read_clocks() noexcept;

/// Reads both clocks into the table. Called at first use and now and then; the caller holds registry_mutex.
void note_clocks() noexcept;

}  // namespace coppice::internal
