// What glibc keeps at pthread_self() on x86-64.
#pragma once

#include <cstdint>

namespace coppice::inspect {

/// Offset of the kernel's thread ID (an int, valid in the thread's own PID namespace, kept right across
/// fork()) in glibc's struct pthread: 704 bytes for the TCB and a list_t come first (nptl/descr.h; so
/// since 2.4).
inline constexpr std::uint64_t pthread_tid_offset = 0x2d0;

/// Offset of the pointer to the thread's dynamic thread vector (x86-64 psABI, TLS variant II; tcbhead_t), and
/// the size of the vector's entries: the first word of each is the address of one module's thread-local
/// variables, of which there are as many as the entry in front of the first one says.
inline constexpr std::uint64_t pthread_dtv_offset = 0x08;
inline constexpr std::uint64_t dtv_entry_size = 0x10;

}  // namespace coppice::inspect
