#include <cstring>

#include "inspect/greenlets/resume.hpp"

namespace coppice::inspect {

void set_resume_registers(Greenlet& greenlet, const DebugTable& table) {
  greenlet.registers = Registers();
  greenlet.exact_pc = true;
  for (unsigned number = 0; number < x86_64::rip; ++number) {
    const std::int16_t slot = table.resume_slot[number];
    std::uint64_t value = 0;
    if (slot < 0 || static_cast<std::size_t>(slot) + sizeof value > greenlet.stack.size()) continue;
    std::memcpy(&value, greenlet.stack.data() + slot, sizeof value);
    greenlet.registers.set(number, value);
  }
  greenlet.registers.set(x86_64::rsp, greenlet.slice.start);
  greenlet.registers.set(x86_64::rip, table.resume_pc);
}

}  // namespace coppice::inspect
