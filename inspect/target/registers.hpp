// The registers a walk needs, per CPU. The numbering is the ABI's DWARF numbering.
#pragma once

#include <array>
#include <cstdint>

#include "inspect/base/result.hpp"

namespace coppice::inspect {

namespace x86_64 {
/// DWARF register numbers of the System V psABI, figure 3.36.
enum Register : std::uint8_t {
  rax,
  rdx,
  rcx,
  rbx,
  rsi,
  rdi,
  rbp,
  rsp,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  rip,
  register_count
};
}  // namespace x86_64

/// Values of registers of which some are unknown: a walk never uses a value it was not given.
class Registers {
 public:
  bool known(unsigned dwarf_number) const noexcept { return known_ >> dwarf_number & 1; }
  std::uint64_t get(unsigned dwarf_number) const noexcept { return values_[dwarf_number]; }
  void set(unsigned dwarf_number, std::uint64_t value) noexcept {
    values_[dwarf_number] = value;
    known_ |= 1U << dwarf_number;
  }
  void forget(unsigned dwarf_number) noexcept {
    values_[dwarf_number] = 0;
    known_ &= ~(1U << dwarf_number);
  }

  /// All of them by number; what is not known is 0. And which are known, as bits.
  const std::array<std::uint64_t, x86_64::register_count>& values() const noexcept { return values_; }
  std::uint32_t known_mask() const noexcept { return known_; }

  Address pc() const noexcept { return values_[x86_64::rip]; }
  Address sp() const noexcept { return values_[x86_64::rsp]; }

 private:
  std::array<std::uint64_t, x86_64::register_count> values_{};
  std::uint32_t known_ = 0;
};

}  // namespace coppice::inspect
