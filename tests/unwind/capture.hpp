// A stack of this very process, copied where it stands, with what libgcc's unwinder says about it.
#pragma once

#include <cstddef>
#include <vector>

#include "inspect/unwind/walk.hpp"

namespace coppice::inspect::testing {

/// One frame as _Unwind_Backtrace reports it.
struct ExpectedFrame {
  Address pc = 0;
  Address sp = 0;
  bool exact = false;
};

/// A copy of this thread's stack from sp up, and the registers to walk it with.
struct Capture {
  const char* shape = "";
  Registers registers;
  bool exact_pc = true;
  Address stack_start = 0;
  Address stack_stop = 0;
  std::vector<std::byte> stack;
  /// The frames of the walk, innermost first; frame 0 is where `registers` stand.
  std::vector<ExpectedFrame> expected;

  WalkRequest request() const;
};

/// Captures of all shapes, in the order they were taken.
std::vector<Capture>& captures();

/// Captures the stack of its caller and adds it to captures().
void capture_here(const char* shape);

/// The same from a signal handler, for the code that was interrupted: registers from the ucontext, complete
/// and exact.
void capture_interrupted(const char* shape, const void* ucontext);

/// End of this thread's stack.
Address stack_end();

}  // namespace coppice::inspect::testing
