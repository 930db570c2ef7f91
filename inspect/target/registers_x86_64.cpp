#include "inspect/target/registers_x86_64.hpp"

namespace coppice::inspect::x86_64 {

Registers from_kernel(const user_regs_struct& kernel) {
  Registers registers;
  registers.set(rax, kernel.rax);
  registers.set(rdx, kernel.rdx);
  registers.set(rcx, kernel.rcx);
  registers.set(rbx, kernel.rbx);
  registers.set(rsi, kernel.rsi);
  registers.set(rdi, kernel.rdi);
  registers.set(rbp, kernel.rbp);
  registers.set(rsp, kernel.rsp);
  registers.set(r8, kernel.r8);
  registers.set(r9, kernel.r9);
  registers.set(r10, kernel.r10);
  registers.set(r11, kernel.r11);
  registers.set(r12, kernel.r12);
  registers.set(r13, kernel.r13);
  registers.set(r14, kernel.r14);
  registers.set(r15, kernel.r15);
  registers.set(rip, kernel.rip);
  return registers;
}

}  // namespace coppice::inspect::x86_64
