// The name of what can be called, read from memory.
#pragma once

#include <string>

#include "inspect/memory/memory.hpp"
#include "inspect/python/python_layout.hpp"

namespace coppice::inspect {

/// The qualified name (before CPython 3.11 the name) of a function, and of the function of a method; the name
/// of a built-in one or one of Cython's; "<functools.partial>", the type, of anything else. Empty when it
/// cannot be read.
std::string python_callable(const Memory& memory, const PythonLayout& layout, Address object);

}  // namespace coppice::inspect
