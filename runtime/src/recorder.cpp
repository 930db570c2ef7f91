#include "recorder.hpp"

#include <sys/mman.h>

#include <vector>

namespace coppice::internal {

namespace {
constexpr std::uint64_t ring_events = 4096;
}

void attach_ring(ThreadState& state) noexcept {
  void* ring = mmap(nullptr, ring_events * sizeof(coppice_event), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ring == MAP_FAILED) return;
  state.ring = static_cast<coppice_event*>(ring);
  state.ring_capacity = ring_events;
  state.ring_written = 0;
}

void detach_ring(ThreadState& state) noexcept {
  if (state.ring != nullptr) munmap(state.ring, state.ring_capacity * sizeof(coppice_event));
  state.ring = nullptr;
}

}  // namespace coppice::internal
