// The resume context: the registers a suspended greenlet continues with. One .cpp per CPU.
#pragma once

#include "inspect/greenlets/coppice_table.hpp"
#include "inspect/greenlets/greenlet.hpp"

namespace coppice::inspect {

/// Sets `greenlet.registers` of a suspended greenlet from its stack bytes and the checked table. A register
/// whose saved value could not be read stays unknown.
void set_resume_registers(Greenlet& greenlet, const DebugTable& table);

}  // namespace coppice::inspect
