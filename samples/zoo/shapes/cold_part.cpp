// The call of a cold function makes the block around it cold, and gcc moves that to zoo_cold_part.cold.
#include <cstddef>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

namespace {

[[gnu::cold, gnu::noinline]] void run_rarely(coppice::zoo::Step& next, std::byte* mark) {
  next.run();
  zoo_check_pattern(mark, 1);
}

}  // namespace

void zoo_cold_part(coppice::zoo::Step& next) {
  std::byte local[72];
  zoo_write_pattern(local, sizeof local);
  if (zoo_opaque(1) != 0) run_rarely(next, local);
  zoo_check_pattern(local, sizeof local);
}
