// The local variables of a Python frame.
#pragma once

#include "inspect/python/python_repr.hpp"
#include "inspect/python/python_stack.hpp"

namespace coppice::inspect {

/// Local variables, arguments and those of enclosing functions (cells), of a frame that a PythonReader has
/// read. Variables without a value are left out. At most `most` are shown. Modules and classes keep theirs
/// elsewhere: they have none here. They are read as they are now: `torn` when another function runs in this
/// frame meanwhile. Give it a CachedMemory: that is twenty times as fast.
PythonLocals read_python_locals(const Memory& memory, const PythonRuntime& python, const PythonFrame& frame,
                                std::size_t most = 64, ReprLimits limits = {});

}  // namespace coppice::inspect
