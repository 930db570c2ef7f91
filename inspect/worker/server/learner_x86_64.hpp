// Learner: what the CFI at a pc means, found by letting LLVM libunwind take one step over a marked stack.
#pragma once

#include <cstdint>

#include "inspect/unwind/rule.hpp"
#include "inspect/worker/server/eh_frame.hpp"
#include "inspect/worker/server/elf_image.hpp"
#include "inspect/worker/server/marked_stack_x86_64.hpp"

namespace coppice::inspect::worker {

/// Learns rules. A malformed FDE yields a rule that says so; one that crashes or loops takes the process with
/// it.
class Learner {
 public:
  /// Throws std::runtime_error when this libunwind's register context is not laid out as expected.
  Learner();

  /// The rule at an ELF virtual address. `exact`: execution stands there; otherwise it is a return address,
  /// whose call, and therefore whose row, lies just before it.
  Rule learn(const ElfImage& image, EhFrame& eh_frame, std::uint64_t offset, bool exact);

 private:
  Rule probe(const Fde& fde, std::uint64_t ip, unsigned probe);

  MarkedStack stack_;
};

}  // namespace coppice::inspect::worker
