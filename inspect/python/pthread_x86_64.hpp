// What glibc keeps at pthread_self() on x86-64.
#pragma once

#include <cstdint>

namespace coppice::inspect {

/// Offset of the kernel's thread ID (an int, valid in the thread's own PID namespace, kept right across
/// fork()) in glibc's struct pthread: 704 bytes for the TCB and a list_t come first (nptl/descr.h; so
/// since 2.4).
inline constexpr std::uint64_t pthread_tid_offset = 0x2d0;

}  // namespace coppice::inspect
