// One frame, four functions: a debugger that knows inlining shows them all.
#include <cstddef>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

namespace {

[[gnu::always_inline]] inline void innermost(coppice::zoo::Step& next) {
  next.run();
  zoo_opaque(1);
}

[[gnu::always_inline]] inline void middle(coppice::zoo::Step& next) {
  innermost(next);
  zoo_opaque(2);
}

[[gnu::always_inline]] inline void outermost(coppice::zoo::Step& next) {
  middle(next);
  zoo_opaque(3);
}

}  // namespace

void zoo_inlined_tail(coppice::zoo::Step& next) {
  std::byte local[24];
  zoo_write_pattern(local, sizeof local);
  outermost(next);
  zoo_check_pattern(local, sizeof local);
}
