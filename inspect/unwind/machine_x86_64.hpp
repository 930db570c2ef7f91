// What unwinding must know about x86-64: which registers there are and which survive a call.
#pragma once

#include <array>
#include <cstdint>

#include "inspect/target/registers.hpp"

namespace coppice::inspect::machine {

inline constexpr unsigned register_count = x86_64::register_count;
inline constexpr unsigned sp = x86_64::rsp;
inline constexpr unsigned fp = x86_64::rbp;  ///< besides sp the only register that ordinary frames hang on
inline constexpr unsigned ra = x86_64::rip;  ///< the psABI's return address column

/// Registers a function must hand back as it got them (psABI, figure 3.4). The others are unknown in a
/// caller, unless a rule says where they were saved.
inline constexpr std::array<std::uint8_t, 6> callee_saved_registers{x86_64::rbx, x86_64::rbp, x86_64::r12,
                                                                    x86_64::r13, x86_64::r14, x86_64::r15};
inline constexpr std::uint32_t callee_saved = [] {
  std::uint32_t mask = 0;
  for (const std::uint8_t number : callee_saved_registers) mask |= 1U << number;
  return mask;
}();

inline constexpr std::array<const char*, register_count> register_names{
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};

}  // namespace coppice::inspect::machine
