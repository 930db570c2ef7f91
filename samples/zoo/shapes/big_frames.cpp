#include <cstddef>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

void zoo_frame_64k(coppice::zoo::Step& next) {
  std::byte local[(64U << 10) + 4096];
  zoo_write_pattern(local, sizeof local);
  next.run();
  zoo_check_pattern(local, sizeof local);
}

void zoo_frame_1m(coppice::zoo::Step& next) {
  std::byte local[(1U << 20) + 4096];
  zoo_write_pattern(local, sizeof local);
  next.run();
  zoo_check_pattern(local, sizeof local);
}
