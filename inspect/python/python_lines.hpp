// From a place in a code object to a source line: the three kinds of tables that CPython has had.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "inspect/python/python_layout.hpp"

namespace coppice::inspect {

/// The line of the instruction at `offset` bytes from the beginning of the code, as CPython's
/// PyCode_Addr2Line() tells it: co_firstlineno for a negative offset (nothing has run yet). `first_line` is
/// co_firstlineno. None when the instruction has no line, or the table ends before it or makes no sense.
///
/// Formats: Objects/lnotab_notes.txt of 3.8 to 3.10, Objects/locations.md (InternalDocs/code_objects.md)
/// since. Pure, linear in the table's size.
std::optional<std::uint32_t> line_at(LineTable kind, std::span<const std::byte> table,
                                     std::int32_t first_line, std::int64_t offset);

}  // namespace coppice::inspect
