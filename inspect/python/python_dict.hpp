// The items of Python dicts and the attributes of instances, read from outside with suspicion.
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

/// The first items of a dict, at most `limit`, in their order; those of an instance's dict, whose values
/// stand apart from the keys that it shares with others, in the order of the keys. Layout:
/// Objects/dictobject.c and Include/internal/pycore_dict.h, where the table of keys changed with 3.11.
/// `unreadable`, `corrupt`.
Result<PythonDict> read_python_dict(const Memory& memory, const PythonLayout& layout, Address object,
                                    std::size_t limit);

/// The attributes of an instance itself (not of its class), whether they are in a dict or, from 3.11 on, in
/// values of its own. Empty when it has none, or its type allows none. `unreadable`, `corrupt`.
Result<PythonDict> read_python_attributes(const Memory& memory, const PythonLayout& layout, Address object,
                                          std::size_t limit);

}  // namespace coppice::inspect
