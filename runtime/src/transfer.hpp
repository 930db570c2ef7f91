// What a switch hands over, seen from both ends.
#pragma once

#include <any>
#include <exception>

#include "lifetime.hpp"
#include "switch.hpp"

namespace coppice::internal {

/// Receives what was handed over to the current greenlet, right after it was switched to: returns or throws
/// it.
std::any land(ThreadState& state);

/// Hands `state.transfer` to `target`, which is `block` or the nearest living one of its parents, and waits
/// for what comes back. Throws GreenletError or std::bad_alloc when the switch cannot be made.
std::any hand_over(ThreadState& state, coppice_greenlet* block);

/// `block`, or the nearest of its parents that has not finished.
inline coppice_greenlet* nearest_living(coppice_greenlet* block) noexcept {
  while (block->finished()) block = block->parent;
  return block;
}

/// The greenlet that receives `state.transfer`, when `block` should: skips finished ones, and ends unstarted
/// ones into which an exception is thrown. A GreenletExit that has passed through one of these has become an
/// ordinary return.
coppice_greenlet* receiver(ThreadState& state, coppice_greenlet* block);

}  // namespace coppice::internal
