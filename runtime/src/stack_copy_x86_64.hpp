// Copies stack bytes to the heap and back, at least as fast as memcpy.
//
// A sanitizer's memcpy would judge the bytes by the redzones of frames that are not its business, so
// sanitized builds have their own. In others, slices of a few KB are copied by whole cache lines:
// SliceBuffer::place() lets stack and heap lie alike to the line, which memcpy cannot count on, and unlike
// the `rep movsb` it takes from 4 KB on, a loop of vector moves overlaps with what comes before and after it
// (8 KB both ways: 145 ns against 154, and 15 ns less around it). Beyond 32 KB the caches decide, and memcpy
// knows them best.
#pragma once

#include <cstddef>
#include <cstring>

namespace coppice::internal {

/// Whether copy_lines() may be called: the CPU has AVX.
extern const bool can_copy_lines;

/// Copies at least 512 bytes. Both addresses should have the same place in their cache lines.
void copy_lines(std::byte* to, const std::byte* from, std::size_t bytes) noexcept;

inline void stack_copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
#if defined(COPPICE_SANITIZE_ADDRESS) || defined(COPPICE_SANITIZE_THREAD)
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
  constexpr std::size_t least = 1024;
  constexpr std::size_t most = 32 * 1024;
  if (bytes >= least && bytes <= most && can_copy_lines) {
    copy_lines(to, from, bytes);
  } else {
    std::memcpy(to, from, bytes);
  }
#endif
}

}  // namespace coppice::internal
