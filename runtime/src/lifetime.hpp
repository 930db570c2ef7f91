// When greenlets end: counting references, killing what nobody holds, what a thread leaves behind.
#pragma once

#include "thread_state.hpp"

namespace coppice::internal {

inline void add_reference(coppice_greenlet* block) noexcept {
  block->references.fetch_add(1, std::memory_order_relaxed);
}

/// Gives up one reference to `block` (or nothing, if it is nullptr). The last one ends a suspended greenlet
/// by GreenletExit: at once in its own thread, at its next switch from another. What it throws then is
/// discarded.
void release(coppice_greenlet* block) noexcept;

/// After a switch: looks after the greenlet that was left, and after what other threads have asked for.
void settle(ThreadState& state) noexcept;

/// Whether settle() has anything to do.
inline bool unsettled(const ThreadState& state) noexcept {
  return state.origin->finished() || state.origin->references.load(std::memory_order_relaxed) == 0 ||
         state.attention.load(std::memory_order_relaxed);
}

/// Takes all greenlets from a thread that is gone: suspended ones become orphaned if their slice is whole.
/// Returns their list, linked by thread_next, with a reference to each for the caller to give up. Under
/// registry_mutex.
coppice_greenlet* disown_greenlets(ThreadState& state) noexcept;

/// The thread exits: its suspended greenlets become orphaned, and all of them belong to no thread.
void abandon_greenlets(ThreadState& state) noexcept;

}  // namespace coppice::internal
