// The local variables of a Python frame.
#pragma once

#include <string>
#include <vector>

#include "inspect/python/python_repr.hpp"
#include "inspect/python/python_stack.hpp"

namespace coppice::inspect {

/// One variable that has a value.
struct PythonLocal {
  std::string name;
  std::string value;  ///< python_repr() of it
};

struct PythonLocals {
  std::vector<PythonLocal> locals;  ///< arguments first, then as they stand in the code
  std::size_t left_out = 0;         ///< more than `most` have values
  std::optional<Error> error;       ///< why there are none: `unreadable`, `corrupt`
};

/// Local variables, arguments and those of enclosing functions (cells), of a frame that a PythonReader has
/// read. Variables without a value are left out. At most `most` are shown. Modules and classes keep theirs
/// elsewhere: they have none here. Give it a CachedMemory: that is twenty times as fast.
PythonLocals read_python_locals(const Memory& memory, const PythonRuntime& python, const PythonFrame& frame,
                                std::size_t most = 64, ReprLimits limits = {});

}  // namespace coppice::inspect
