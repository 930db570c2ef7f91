// The recorder's fast path: one 32-byte event into the thread's ring. See coppice/recorder.h for the reader's
// side.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "thread_state.hpp"

namespace coppice::internal {

/// Appends an event, overwriting the oldest. Only the ring's own thread calls this.
inline void record(ThreadState& state, coppice_event_type type, std::uint64_t greenlet,
                   std::uintptr_t address, std::size_t bytes, std::uint64_t now) noexcept {
  if (state.ring == nullptr) return;
  const std::uint64_t number = state.ring_written;
  coppice_event& event = state.ring[number & (state.ring_capacity - 1)];
  const std::atomic_ref<std::uint32_t> sequence(event.sequence);
  sequence.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  event.bytes =
      static_cast<std::uint32_t>(std::min<std::size_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
  event.ticks = now;
  event.greenlet = greenlet;
  event.type_address = std::uint64_t{type} << 56 | (address & 0x00ff'ffff'ffff'ffff);
  sequence.store(static_cast<std::uint32_t>(number), std::memory_order_release);
  std::atomic_ref<std::uint64_t>(state.ring_written).store(number + 1, std::memory_order_release);
}

/// Gives a new thread its ring, if the recorder is on.
void attach_ring(ThreadState& state) noexcept;
/// The thread exits; its ring stays readable until another thread needs it.
void detach_ring(ThreadState& state) noexcept;

}  // namespace coppice::internal
