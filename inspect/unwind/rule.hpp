// Rule: what the CFI at one pc means.
//
//        higher addresses
//     |                    |
//     +====================+ <-- CFA: what sp was just before the call that made this frame; the caller's sp
//     |   return address   |     *(CFA - 8)
//     |   saved rbp        |     *(CFA - 16)
//     |   saved rbx        |     *(CFA - 24)
//     |   locals           |
//     +--------------------+ <-- sp
//
//   The CFA, one of
//     register_plus   CFA = register + offset              rsp + 24, rbp + 16
//     memory_plus     CFA = *(register + slot) + offset    stacks realigned (rbp - 8), signal frames (rsp +
//     160)
//   Every register of the caller, the return address included, one of
//     same            the value it has now
//     undefined       lost; as return address: this frame is the outermost
//     at_cfa          *(CFA + 8n)
//     at_base         *(base + 8n), base being one register of this frame
//     cfa_plus        CFA + 8n
//     in_register     the value register n has now
//
// That covers what compilers emit, whatever CFI says it (expressions included); CFI that means anything else
// is `inexpressible`. See DWARF 5, section 6.4, and the System V psABI for x86-64, section 3.7.
#pragma once

#include <array>
#include <cstdint>

#include "inspect/base/result.hpp"
#include "inspect/unwind/machine_x86_64.hpp"

namespace coppice::inspect {

/// How one register of the caller is found: a kind and a number n, in 16 bits.
class Place {
 public:
  enum class Kind : std::uint8_t { same, undefined, at_cfa, at_base, cfa_plus, in_register };
  static constexpr int min_n = -(1 << 12);
  static constexpr int max_n = (1 << 12) - 1;

  constexpr Place() = default;
  /// `n` must lie in [min_n, max_n].
  constexpr Place(Kind kind, int n)
      : bits_(static_cast<std::uint16_t>(static_cast<unsigned>(n) << 3 | static_cast<unsigned>(kind))) {}

  constexpr Kind kind() const noexcept { return static_cast<Kind>(bits_ & 7); }
  constexpr int n() const noexcept { return static_cast<std::int16_t>(bits_) >> 3; }
  friend constexpr bool operator==(Place, Place) = default;

 private:
  std::uint16_t bits_ = 0;
};

/// One rule: a cache line.
struct alignas(64) Rule {
  enum class Status : std::uint8_t {
    usable,
    no_unwind_info,  ///< no FDE covers the pc
    malformed,       ///< the FDE could not be decoded
    crashed,         ///< decoding it killed the worker
    stalled,         ///< decoding it did not come to an end
    given_up,        ///< not tried: the module stalled the worker too often before
    inexpressible,   ///< the two probes disagreed, or found none of the forms above
  };
  enum class Cfa : std::uint8_t { register_plus, memory_plus };

  Status status = Status::no_unwind_info;
  Cfa cfa = Cfa::register_plus;
  std::uint8_t cfa_register = 0;
  std::uint8_t base_register = 0;
  /// 1: the caller was interrupted, so its pc is exact. (Numbers, not bools: a Rule is made of received
  /// bytes.)
  std::uint8_t signal_frame = 0;
  std::uint8_t reads_registers = 0;  ///< 1: some place is in_register
  std::int32_t offset = 0;
  std::int32_t slot = 0;
  std::uint32_t changed = 0;  ///< bit i: places[i] is not `same`
  /// By DWARF number, the return address at machine::ra.
  std::array<Place, machine::register_count> places{};

  /// What nearly all rules are, told so that a walk need not ask place by place: `depth` > 0 means that the
  /// rule is register_plus from sp or fp, of no signal frame, and that whatever it changes are callee-saved
  /// registers and the return address, at_cfa. The return address is `return_slot` words below the CFA, fp
  /// (if it changes; else any readable word) `frame_slot` words, and neither deeper than `depth`. Set by
  /// `prepare`.
  std::uint8_t depth = 0;
  std::uint8_t return_slot = 0;
  std::uint8_t frame_slot = 0;

  bool usable() const noexcept { return status == Status::usable; }
  void place(unsigned register_number, Place where) noexcept {
    places[register_number] = where;
    if (where.kind() != Place::Kind::same) changed |= 1U << register_number;
    if (where.kind() == Place::Kind::in_register) reads_registers = 1;
  }
  friend bool operator==(const Rule&, const Rule&) = default;
};
static_assert(sizeof(Rule) == 64);

/// Sets depth, return_slot and slots, whatever they were.
void prepare(Rule& rule) noexcept;

/// True when every number in a rule is one a walk may use. Rules come from a process that read hostile bytes.
bool is_sound(const Rule& rule) noexcept;

/// Why a rule that is not usable is not, for the frame at `pc`.
Error unusable(const Rule& rule, Address pc);

}  // namespace coppice::inspect
