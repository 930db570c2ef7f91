// A local of 64-byte alignment makes the compiler realign the stack; with alloca beside it gcc keeps the
// incoming stack pointer in a register of its own (the DRAP) and describes the CFA by an expression.
#include <cstddef>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

void zoo_realigned(coppice::zoo::Step& next) {
  alignas(64) std::byte aligned[128];
  const std::size_t size = zoo_opaque(200);
  void* dynamic = __builtin_alloca(size);
  zoo_write_pattern(aligned, sizeof aligned);
  zoo_write_pattern(dynamic, size);
  next.run();
  zoo_check_pattern(dynamic, size);
  zoo_check_pattern(aligned, sizeof aligned);
}
