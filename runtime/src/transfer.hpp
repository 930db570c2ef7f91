// What a switch hands over, seen from both ends.
#pragma once

#include <any>
#include <exception>

#include "lifetime.hpp"
#include "switch.hpp"

namespace coppice::internal {

/// As land(), when there is more to do than to take a value.
std::any land_with_care(ThreadState& state);

/// Receives what was handed over to the current greenlet, right after it was switched to: returns or throws
/// it.
inline std::any land(ThreadState& state) {
  if (state.transfer.exception || state.hook || unsettled(state)) [[unlikely]]
    return land_with_care(state);
  return std::move(state.transfer.value);
}

/// The greenlet that receives `state.transfer`, when `block` should: skips finished ones, and ends unstarted
/// ones into which an exception is thrown. A GreenletExit that has passed through one of these has become an
/// ordinary return.
coppice_greenlet* receiver(ThreadState& state, coppice_greenlet* block);

/// As hand_over(), to a greenlet that is not suspended.
std::any hand_over_with_care(ThreadState& state, coppice_greenlet* block);

/// Throws what a switch that could not be made means.
[[noreturn]] void refuse(ThreadState& state, Outcome outcome);

/// Hands `state.transfer` to `block`, or to the nearest living one of its parents, and waits for what comes
/// back. Throws GreenletError or std::bad_alloc when the switch cannot be made.
inline std::any hand_over(ThreadState& state, coppice_greenlet* block) {
  if (block->state != COPPICE_STATE_SUSPENDED) [[unlikely]]
    return hand_over_with_care(state, block);
  const Outcome outcome = exchange(state, block);
  if (outcome != Outcome::switched) [[unlikely]]
    refuse(state, outcome);
  return land(state);
}

}  // namespace coppice::internal
