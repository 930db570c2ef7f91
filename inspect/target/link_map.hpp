// The names of loaded libraries as the dynamic linker of the target keeps them: <link.h>, struct r_debug.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// From load bias to path, found by way of the program headers at AT_PHDR (`count` of them), PT_DYNAMIC and
/// DT_DEBUG. Only names that are not empty. Empty for static programs, and where any step is unreadable.
std::map<std::uint64_t, std::string> read_link_map(const Memory& memory, Address program_headers,
                                                   std::uint64_t count);

}  // namespace coppice::inspect
