// The debug table of our runtime: finding it in a module, and refusing one that cannot be true.
// Its layout is runtime/include/coppice/debug_abi.h.
#pragma once

#include <optional>

#include "inspect/target/target.hpp"
#include "runtime/include/coppice/debug_abi.h"

namespace coppice::inspect {

/// The table; the runtime has a variable of the same name.
using DebugTable = struct coppice_debug_table;

/// A debug table whose every size and offset has been checked: offsets stay inside their slots, slots inside
/// their chunks, registers inside the resume context.
struct CoppiceTable {
  Address address = 0;
  DebugTable fields{};  ///< what an older, shorter table lacks is zero
};

/// Where a module's debug table lies; none when it has no note of ours. Looks into the target's memory, and
/// where the page with the headers is not there (a core) into the module's file. Never fails: an unreadable
/// module has none.
std::optional<Address> find_coppice_table(const Target& target, const Module& module);

/// Reads and checks the table. `unreadable`, `corrupt`, `unsupported` (another ABI version or machine).
Result<CoppiceTable> read_coppice_table(const Memory& memory, Address address);

}  // namespace coppice::inspect
