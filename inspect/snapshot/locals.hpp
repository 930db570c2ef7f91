// The local variables of Python stacks.
#pragma once

#include <span>

#include "inspect/memory/memory.hpp"
#include "inspect/snapshot/python_stacks.hpp"

namespace coppice::inspect {

/// Sets PythonFrame::locals of every frame of these stacks, as they are in memory now. At most so many bytes
/// of names and values in all; the frames beyond get `too_deep`.
void read_locals(const Memory& memory, std::span<PythonStacks::Found> stacks,
                 std::size_t most_bytes = std::size_t{1} << 26U);

}  // namespace coppice::inspect
