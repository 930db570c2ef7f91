#include <cstddef>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

void zoo_alloca(coppice::zoo::Step& next) {
  const std::size_t size = zoo_opaque(333);
  void* dynamic = __builtin_alloca(size);
  zoo_write_pattern(dynamic, size);
  next.run();
  zoo_check_pattern(dynamic, size);
}
