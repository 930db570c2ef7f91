// The seam to everything that depends on the CPU. Another one needs these three files and its switch_*.S.
#pragma once

#if defined(__x86_64__)
#include "resume_x86_64.hpp"
#include "stack_copy_x86_64.hpp"
#include "ticks_x86_64.hpp"
#else
#error "libcoppice does not know this CPU yet"
#endif
