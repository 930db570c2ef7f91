// Copies stack bytes. A sanitizer's memcpy would judge them by the redzones of frames that are not its
// business.
#pragma once

#include <cstddef>
#include <cstring>

namespace coppice::internal {

inline void stack_copy(void* to, const void* from, std::size_t bytes) noexcept {
#if defined(COPPICE_SANITIZE_ADDRESS) || defined(COPPICE_SANITIZE_THREAD)
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
  std::memcpy(to, from, bytes);
#endif
}

}  // namespace coppice::internal
