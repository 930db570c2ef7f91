// Finding a target's modules with nothing but its memory and its auxiliary vector.
//
//   AT_PHDR ──► program headers of the executable ──► PT_DYNAMIC ──► DT_DEBUG ──► r_debug ──► link_map ──►
//   ... AT_SYSINFO_EHDR ──► the vdso                                      (glibc's <link.h>; musl's is the
//   same)
#pragma once

#include <span>
#include <string>
#include <vector>

#include "inspect/capi/coppice_inspect.h"
#include "inspect/memory/memory.hpp"
#include "inspect/target/module.hpp"

namespace coppice::inspect {

struct LentModules {
  std::vector<Module> modules;        ///< sorted by start
  std::vector<std::string> warnings;  ///< what could not be found, and why
};

/// Never fails: what cannot be read is missing and said so. `executable` is the path of the main program.
/// Lists that lie (cycles, endless chains, impossible sizes) end at a limit with a warning.
LentModules find_lent_modules(const Memory& memory, std::span<const cpi_auxv> auxv,
                              const std::string& executable);

}  // namespace coppice::inspect
