// Compiled with -fomit-frame-pointer in every build.
#include <cstddef>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

void zoo_rsp_based(coppice::zoo::Step& next) {
  std::byte local[40];
  zoo_write_pattern(local, sizeof local);
  next.run();
  zoo_check_pattern(local, sizeof local);
}
