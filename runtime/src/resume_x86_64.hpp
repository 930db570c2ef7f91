// Where a suspended greenlet's registers lie, as switch_x86_64.S pushes them; DWARF register numbers of the
// x86-64 psABI.
#pragma once

#include <cstdint>

extern "C" {
// Labels in switch_x86_64.S; only their addresses mean anything.
[[gnu::visibility("hidden")]] extern const char coppice_resume;
[[gnu::visibility("hidden")]] extern const char coppice_entry;
[[gnu::visibility("hidden")]] extern const char coppice_entry_end;
}

namespace coppice::internal {

constexpr std::uint32_t elf_machine = 62;  // EM_X86_64

/// Entry n is the offset from `start` of DWARF register n, or -1.
struct ResumeSlots {
  std::int16_t at[32];
};

constexpr ResumeSlots resume_slots() {
  constexpr int rbx = 3, rbp = 6, r12 = 12, r13 = 13, r14 = 14, r15 = 15, return_address = 16;
  ResumeSlots slots{};
  for (std::int16_t& slot : slots.at) slot = -1;
  slots.at[r15] = 8;
  slots.at[r14] = 16;
  slots.at[r13] = 24;
  slots.at[r12] = 32;
  slots.at[rbx] = 40;
  slots.at[rbp] = 48;
  slots.at[return_address] = 56;
  return slots;
}

}  // namespace coppice::internal
