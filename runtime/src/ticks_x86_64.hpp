// The time stamp counter.
#pragma once

#include <cstdint>

namespace coppice::internal {
inline std::uint64_t ticks() noexcept {
  return __builtin_ia32_rdtsc();
}
}  // namespace coppice::internal
