// Parking: a greenlet records its own backtrace, then leaves the stack from the very same call.
//
//   zoo_park  calls  record_stack    (the unwinder of libgcc sees zoo_park's return address into itself, ...)
//             calls  switch_away     (... and whoever inspects the parked greenlet must see the same one)
//
// Both calls are one call instruction, run twice in a loop, so all pcs from zoo_park outward are those that
// an inspector has to find; switch_away checks that.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "coppice/greenlet.hpp"

namespace coppice::zoo {

/// One frame as libgcc's unwinder saw it.
struct RecordedFrame {
  std::uintptr_t pc = 0;
  std::uintptr_t sp = 0;  ///< in this frame: its callee's CFA
  bool exact = false;     ///< interrupted by a signal at pc; else pc is a return address
};

/// What one greenlet recorded when it last parked.
struct Record {
  std::uint64_t id = 0;
  pid_t tid = 0;
  std::string name;
  const char* state = "suspended";    ///< as the inspector should call it
  std::vector<RecordedFrame> frames;  ///< zoo_park first, outermost last
};

/// Records, then switches to `target`. Returns when the caller is switched to again.
void park_switching_to(const Greenlet& target);

/// Records, then calls `block(argument)`, which is expected to wait in the kernel: the caller stays running.
void park_blocking(void (*block)(void*), void* argument);

/// Notes a greenlet that has no stack, with the state it should be shown in.
void note_without_stack(const Greenlet& greenlet, const char* state);

/// Writes all records to a descriptor, one line each; false when writing failed. The format, which tests
/// read:
///
///   coppice-zoo 1 PID BIAS RESUME_PC      the load bias of the executable, resume_pc of the debug table
///   greenlet ID TID STATE NAME PC:SP[:exact] ...
///   end COUNT
///
/// All numbers but the PID, IDs, TIDs and the count are hexadecimal; an empty name is "-".
bool announce(int fd);

}  // namespace coppice::zoo
