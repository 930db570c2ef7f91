#include <cstddef>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

extern "C" [[gnu::noinline]] void zoo_deep_recursion_level(coppice::zoo::Step& next, std::size_t levels) {
  std::byte local[16];
  zoo_write_pattern(local, sizeof local);
  if (levels == 0) {
    next.run();
  } else {
    zoo_deep_recursion_level(next, levels - 1);
  }
  zoo_check_pattern(local, sizeof local);
}

void zoo_deep_recursion(coppice::zoo::Step& next) {
  zoo_deep_recursion_level(next, zoo_opaque(500));
  zoo_opaque(0);
}
