// A Python object as a short text, read from memory: nothing of the program runs for it.
#pragma once

#include <cstddef>
#include <string>

#include "inspect/memory/memory.hpp"
#include "inspect/python/python_runtime.hpp"

namespace coppice::inspect {

/// How much is shown.
struct ReprLimits {
  std::size_t length = 200;     ///< bytes, after which nothing more is begun
  std::size_t characters = 60;  ///< of one string
  std::size_t items = 6;        ///< of one container
  int depth = 2;                ///< of containers in containers
};

/// int, float, bool, None, str, bytes, tuple, list and dict as Python would write them, "…" where something
/// was left out; anything else (also of types derived from these) as `<Type at 0x7f...>`. A container that
/// contains itself ends at `depth`. What cannot be read or makes no sense is `<unreadable at 0x...>`. Text is
/// UTF-8 as in the target: printable() before it is shown. The target goes on running meanwhile: an object
/// that it frees under the reader's hands may be shown as what took its place.
std::string python_repr(const Memory& memory, const PythonRuntime& python, Address object,
                        ReprLimits limits = {});

}  // namespace coppice::inspect
