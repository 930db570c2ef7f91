// Walking stacks: what goes in and what comes out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inspect/base/result.hpp"
#include "inspect/target/registers.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// How a walk ended. The JSON contract spells them "base", "truncated", "error", and null for `unwalked`.
enum class End : std::uint8_t {
  unwalked,   ///< not tried (unstarted, finished, running and not to be stopped)
  base,       ///< reached the outermost frame the greenlet owns
  truncated,  ///< stopped for a limit, or because bytes or unwind information are missing; `error` says which
  error,      ///< stopped because something is wrong: corrupt, torn, bad unwind information
};

/// One physical frame, innermost first.
struct RawFrame {
  Address pc = 0;   ///< raw: a return address, or the exact pc when `exact`
  Address sp = 0;   ///< the stack pointer in this frame (for frame 0 the initial sp, else the callee's CFA)
  Address cfa = 0;  ///< the canonical frame address; 0 when this frame's rule is unknown
  /// True when pc is where execution stands (registers of a thread, a frame interrupted by a signal); false
  /// for a return address, whose line is looked up at pc-1.
  bool exact = false;
  bool signal_trampoline = false;
};

/// A stack to walk.
struct WalkRequest {
  Registers registers;    ///< pc and sp at least
  bool exact_pc = false;  ///< see RawFrame::exact, for frame 0
  /// Bytes from `stack_start`, without a gap; must outlive the call. For an exact pc begin 128 bytes below
  /// sp: in an epilogue CFI still refers to slots that were just popped, which the psABI's red zone keeps
  /// alive.
  std::span<const std::byte> stack;
  Address stack_start = 0;
  Address stack_stop = 0;  ///< the base: nothing at or above is read; a CFA may equal it
  /// Code whose frames may reach over the base: such a frame belongs to whoever started this stack, so the
  /// walk ends at the base without it. Empty: a frame that reaches over the base is an error.
  AddressRange base_code;
};

/// A walked stack.
struct Walk {
  std::vector<RawFrame> frames;
  End end = End::unwalked;
  std::optional<Error> error;  ///< for `truncated` and `error`: why, and at which address
};

/// Counters of everything unwound so far by one Unwinder.
struct UnwindStats {
  std::uint64_t frames = 0;
  std::uint64_t rule_hits = 0;
  std::uint64_t rules_learned = 0;
  std::uint64_t rules_unusable = 0;  ///< learned, but as "bad", "inexpressible" or "no unwind info"
  std::uint64_t worker_restarts = 0;
};

}  // namespace coppice::inspect
