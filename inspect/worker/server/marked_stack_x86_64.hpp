// MarkedStack: memory that tells where each word in it was read from.
//
// For one step of LLVM libunwind every register points into a window of its own. Each word there is unique
// and a pointer to a second window of its own, whose words are unique too:
//
//     rsp ---> [ first window of rsp  ]          word at rsp + d
//     rbp ---> [ first window of rbp  ] --*(rbp - 8)--> [ second window of rbp - 8 ]
//     ...                                                word at *(rbp - 8) + k
//
// So any register value after the step decodes to what the CFI did: "rsp + 24" , "the word at rbp - 16", "the
// word at
// *(rbp - 8) - 8". Pages are filled when first touched (a SIGSEGV handler in this process), so windows are
// wide, 16 MiB either way, and cost nothing; their content depends on the address alone and never goes stale.
// A frame larger than a window would be taken for the neighbour's: the two probes shift every register
// differently, so that they disagree then.
#pragma once

#include <array>
#include <cstdint>
#include <variant>

#include "inspect/target/registers.hpp"

namespace coppice::inspect::worker {

/// `register + offset`: an address in a first window.
struct RegisterPlus {
  unsigned register_number;
  std::int64_t offset;
  friend bool operator==(const RegisterPlus&, const RegisterPlus&) = default;
};

/// `*at + offset`: the word at an address in a first window, and something added to it. Offsets reach 1 KiB
/// either way.
struct WordPlus {
  RegisterPlus at;
  std::int64_t offset;
  friend bool operator==(const WordPlus&, const WordPlus&) = default;
};

/// `*(*at + offset)`: a word read from a second window.
struct WordBehind {
  WordPlus at;
};

struct Nothing {};   ///< 0: libunwind's value for "undefined"
struct Unmarked {};  ///< none of these

using Meaning = std::variant<Unmarked, Nothing, RegisterPlus, WordPlus, WordBehind>;

/// The windows of all registers. One object in a process.
class MarkedStack {
 public:
  static constexpr unsigned registers = 16;  ///< rax ... r15 by DWARF number; the pc is the caller's business
  static constexpr unsigned probes = 2;

  /// Reserves the windows and installs the handler that fills them. Throws std::runtime_error if it cannot.
  MarkedStack();
  MarkedStack(const MarkedStack&) = delete;
  MarkedStack& operator=(const MarkedStack&) = delete;

  /// What a register holds in a probe.
  std::uint64_t value(unsigned register_number, unsigned probe) const noexcept;

  /// What a value found after the step means.
  Meaning decode(std::uint64_t value, unsigned probe) const noexcept;

  /// Gives back pages when hostile CFI touched many. Not during a step.
  void trim() noexcept;
};

}  // namespace coppice::inspect::worker
