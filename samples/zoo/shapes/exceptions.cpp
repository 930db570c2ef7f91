// Frames entered by the exception machinery, which goes on only after the greenlet was switched to again.
#include <cstddef>
#include <cstdlib>
#include <exception>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

namespace {

struct Thrown {
  std::size_t value;
};

/// Runs a step when destroyed. The step must not let an exception out.
class RunsWhenDestroyed {
 public:
  explicit RunsWhenDestroyed(coppice::zoo::Step& next) : next_(next) {
    zoo_write_pattern(local_, sizeof local_);
  }
  RunsWhenDestroyed(const RunsWhenDestroyed&) = delete;
  RunsWhenDestroyed& operator=(const RunsWhenDestroyed&) = delete;
  ~RunsWhenDestroyed() {
    const int before = std::uncaught_exceptions();
    next_.run();
    if (before == 0 || std::uncaught_exceptions() != before) std::abort();
    zoo_check_pattern(local_, sizeof local_);
  }

 private:
  coppice::zoo::Step& next_;
  std::byte local_[48];
};

[[gnu::noinline]] void throw_it(std::size_t value) {
  throw Thrown{value};
}

}  // namespace

void zoo_catch_handler(coppice::zoo::Step& next) {
  std::byte local[48];
  zoo_write_pattern(local, sizeof local);
  try {
    throw_it(zoo_opaque(7));
  } catch (const Thrown& thrown) {
    next.run();
    if (thrown.value != 7 || std::current_exception() == nullptr) std::abort();
  }
  zoo_check_pattern(local, sizeof local);
}

extern "C" [[gnu::noinline]] void zoo_unwinding_destructor_frame(coppice::zoo::Step& next) {
  RunsWhenDestroyed destroyed(next);
  throw_it(zoo_opaque(8));
}

void zoo_unwinding_destructor(coppice::zoo::Step& next) {
  try {
    zoo_unwinding_destructor_frame(next);
  } catch (const Thrown& thrown) {
    if (thrown.value != 8) std::abort();
  }
}
