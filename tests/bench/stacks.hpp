// Distinct stacks to unwind: copies of a real one at the bottom of calls in random order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "inspect/unwind/walk.hpp"

namespace coppice::bench {

struct CopiedStack {
  inspect::Registers registers;
  inspect::Address start = 0;
  inspect::Address stop = 0;
  std::vector<std::byte> bytes;

  inspect::WalkRequest request() const {
    inspect::WalkRequest request;
    request.registers = registers;
    request.exact_pc = true;
    request.stack = bytes;
    request.stack_start = start;
    request.stack_stop = stop;
    return request;
  }
};

/// `count` stacks of `frames` frames each, of one thread that lives as long as the process, so that the
/// addresses in them stay usable: putting a copy back makes that stack real again.
const std::vector<CopiedStack>& make_stacks(std::size_t count, std::size_t frames);

}  // namespace coppice::bench
