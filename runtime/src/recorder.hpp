// The recorder's fast path: one 32-byte event into the thread's ring. See coppice/recorder.h for the reader's
// side.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "coppice/recorder.h"
#include "thread_state.hpp"

namespace coppice::internal {

/// Appends an event, overwriting the oldest. Only the ring's own thread calls this, while its slot's version
/// is odd.
inline void record(ThreadState& state, coppice_event_type type, std::uint64_t greenlet,
                   std::uintptr_t address, std::size_t bytes, std::uint64_t now) noexcept {
  if (state.ring == nullptr) return;
  constexpr std::uint64_t address_bits = 56;
  const std::uint64_t number = state.ring_written;
  coppice_event& event = state.ring[number & (state.ring_capacity - 1)];
  const std::atomic_ref<std::uint32_t> sequence(event.sequence);
  sequence.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  event.bytes =
      static_cast<std::uint32_t>(std::min<std::size_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
  event.ticks = now;
  event.greenlet = greenlet;
  event.type_address = std::uint64_t{type} << address_bits | (address & ((1ull << address_bits) - 1));
  sequence.store(static_cast<std::uint32_t>(number), std::memory_order_release);
  state.ring_written = number + 1;
  std::atomic_ref<std::uint64_t>(state.ring_header->written).store(number + 1, std::memory_order_release);
}

/// Gives this thread a ring by the current mode, in place of the one it has. Under registry_mutex.
void attach_ring(ThreadState& state) noexcept;
/// Takes this thread's ring away. Under registry_mutex.
void detach_ring(ThreadState& state) noexcept;
/// What the environment says, if nobody has said anything yet. Not under registry_mutex.
void configure_recorder_once() noexcept;
/// For note_clocks: the file has clocks of its own. Under registry_mutex.
void note_recorder_clocks(const coppice_debug_clock& now) noexcept;
/// After fork(), in the child: the file is the parent's. Under registry_mutex; the caller attaches rings
/// anew.
void forget_recorder_file() noexcept;

}  // namespace coppice::internal
