// Registers as the x86-64 kernel hands them out, in the ABI's DWARF numbering.
#pragma once

#include <sys/user.h>

#include "inspect/target/registers.hpp"

namespace coppice::inspect::x86_64 {

/// All 17. PTRACE_GETREGS and the pr_reg of an NT_PRSTATUS note have this same layout (<sys/user.h>).
Registers from_kernel(const user_regs_struct& registers);

}  // namespace coppice::inspect::x86_64
