// The body of a learn_rules request and its answers.
#pragma once

#include <cstdint>

#include "inspect/unwind/rule.hpp"
#include "inspect/worker/protocol.hpp"

namespace coppice::inspect::worker {

/// One pc whose rule is wanted: a request's body is an array of these. The answer is one Rule.
struct LearnItem {
  std::uint64_t offset = 0;  ///< ELF virtual address of the pc itself
  FileId file = 0;
  std::uint32_t exact = 0;  ///< 1: execution stands at `offset`; 0: `offset` is a return address
};

}  // namespace coppice::inspect::worker
