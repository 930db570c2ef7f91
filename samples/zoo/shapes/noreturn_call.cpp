// The return address of the last call lies just beyond the function, in whatever comes after it.
#include <cstddef>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

namespace {

struct Left {};

[[noreturn, gnu::noinline]] void run_and_throw(coppice::zoo::Step& next, const std::byte* mark) {
  next.run();
  zoo_check_pattern(mark, 64);
  throw Left{};
}

}  // namespace

extern "C" [[gnu::noinline]] void zoo_noreturn_call(coppice::zoo::Step& next) {
  std::byte local[64];
  zoo_write_pattern(local, sizeof local);
  run_and_throw(next, local);
}

namespace coppice::zoo {

void enter_noreturn_call(Step& next) {
  try {
    zoo_noreturn_call(next);
  } catch (const Left&) {
    zoo_opaque(0);
  }
}

}  // namespace coppice::zoo
