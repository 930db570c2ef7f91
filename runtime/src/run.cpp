// The life of a greenlet, from its first switch to its last.
#include <cxxabi.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "cpu.hpp"
#include "recorder.hpp"
#include "switch.hpp"
#include "transfer.hpp"

namespace coppice::internal {

namespace {

/// Runs the greenlet's function and puts what it leaves behind into state.transfer. Everything the function
/// owned, itself included, is gone when this returns.
void call_function(ThreadState& state) {
  coppice_greenlet& self = *state.current;
  Transfer result;
  try {
    const Function function = std::move(*std::unique_ptr<Function>(std::exchange(self.function, nullptr)));
    result.value = function(land(state));
  } catch (const GreenletExit&) {
    result.value = GreenletExit();
  } catch (...) {
    if (abi::__cxa_current_exception_type() == nullptr) {  // no C++ exception: pthread_exit or cancellation
      save_all(state);                                     // the thread ends, and with it this stack
      throw;
    }
    result.exception = std::current_exception();
  }
  state.transfer = std::move(result);
}

}  // namespace

/// Called by coppice_entry, as the first frame of every greenlet but the main ones. Lets an exception out
/// only for a forced unwinding, which ends at coppice_entry as it would end at a thread's start.
extern "C" [[noreturn]] void coppice_run(ThreadState* state) {
  *state->exception_globals = ExceptionGlobals();
  call_function(*state);
  coppice_greenlet& self = *state->current;
  coppice_greenlet* const target = receiver(*state, self.parent);
  {
    const Changing changing(self.version);
    self.state = COPPICE_STATE_FINISHED;
  }
  if (state->ring != nullptr) {
    const Changing changing(state->version);
    record(*state, COPPICE_EVENT_RETURN, self.id, self.stop, 0, ticks());
  }
  exchange(*state, target);
  std::fputs("coppice: no memory to save the stack of the greenlets in the way of a finished one's parent\n",
             stderr);
  std::terminate();
}

}  // namespace coppice::internal
