// The items of a Python dict, read from outside with suspicion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "inspect/memory/memory.hpp"
#include "inspect/python/python_layout.hpp"

namespace coppice::inspect {

struct PythonDict {
  std::uint64_t size = 0;                          ///< number of items, as the dict says
  std::vector<std::pair<Address, Address>> items;  ///< the first of them: key and value
};

/// The first items of a dict, at most `limit`, in their order. Layout: Objects/dictobject.c and
/// Include/internal/pycore_dict.h, where the table of keys changed with 3.11. `unreadable`, `corrupt`.
Result<PythonDict> read_python_dict(const Memory& memory, const PythonLayout& layout, Address object,
                                    std::size_t limit);

}  // namespace coppice::inspect
