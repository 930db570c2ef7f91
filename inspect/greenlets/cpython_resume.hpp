// Where a suspended greenlet of CPython continues, and with which registers. One .cpp per CPU.
#pragma once

#include <cstdint>
#include <optional>

#include "inspect/greenlets/cpython_extension.hpp"
#include "inspect/greenlets/greenlet.hpp"
#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// The place inside slp_switch() behind which a greenlet goes on. Found by its code: the function is written
/// in assembler in every version of the extension, and has no symbol in stripped builds.
struct ResumePoint {
  Address pc = 0;
  /// Where slp_switch() has saved a register that its CFI may know nothing of.
  struct Slot {
    bool known = false;
    bool by_frame_pointer = false;  ///< else by the stack pointer
    std::int32_t offset = 0;
  };
  Slot frame_pointer;
  Slot base;             ///< rbx
  Address text_low = 0;  ///< the code of the extension: where slp_switch() returns to
  Address text_high = 0;
};

/// Looks through the code of the extension. `unsupported` when the sequence is not there or is there more
/// than once (the message counts), `unreadable` when the code is not there at all.
Result<ResumePoint> find_resume_point(const Memory& memory, const GreenletExtension& extension);

/// Sets `greenlet.registers` from its stack bytes; a register whose saved value is not known stays unknown.
/// `memory` is for looking at the extension's code.
void set_resume_registers(Greenlet& greenlet, const ResumePoint& resume, const Memory& memory);

}  // namespace coppice::inspect
