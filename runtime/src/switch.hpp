// Moving from one greenlet to another: the exchange of stack bytes, and nothing else.
#pragma once

#include <cstdint>

#include "thread_state.hpp"

namespace coppice::internal {

/// What became of a switch. The assembly knows these numbers.
enum class Outcome : std::uint64_t {
  switched = 1,   ///< the target ran, and later someone switched back
  starts = 2,     ///< only between coppice_depart and the assembly
  no_memory = 3,  ///< for the slices to be saved; nothing has changed
  off_stack = 4,  ///< the caller does not run on its thread's own stack; nothing has changed
  no_stack = 5,   ///< too little stack is left for a new greenlet; nothing has changed
};

extern "C" [[gnu::visibility("hidden")]] Outcome coppice_switch_stacks(ThreadState* state);

/// Leaves the current greenlet for `target` (alive, of this thread, not the current one). Returns when
/// someone switches back, or at once when it could not be done. A current greenlet already marked finished is
/// not saved.
inline Outcome exchange(ThreadState& state, coppice_greenlet* target) noexcept {
  state.target = target;
  // Locals on this greenlet's stack, so they travel with it. One by one: a wide load right after the narrow
  // stores of the last switch would have to wait for them.
  ExceptionGlobals* const globals = state.exception_globals;
  void* const caught = globals->caught;
  const unsigned uncaught = globals->uncaught;
  const Outcome outcome = coppice_switch_stacks(&state);
  globals->caught = caught;
  globals->uncaught = uncaught;
  return outcome;
}

/// Completes the slices of all suspended greenlets but main that still have bytes on the stack. False: no
/// memory for some.
bool save_all(ThreadState& state) noexcept;

}  // namespace coppice::internal
