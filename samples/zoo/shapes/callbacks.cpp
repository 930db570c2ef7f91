#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <utility>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

namespace {

// qsort's comparison has no argument of its own to carry this.
thread_local coppice::zoo::Step* step_of_comparison = nullptr;

int compare(const void* a, const void* b) {
  // Only the first comparison finds the step; by the time it returns other greenlets may have sorted.
  if (auto* step = std::exchange(step_of_comparison, nullptr)) step->run();
  const int left = *static_cast<const int*>(a);
  const int right = *static_cast<const int*>(b);
  return (left > right) - (left < right);
}

[[gnu::noinline]] void call(const std::function<void()>& function) {
  function();
  zoo_opaque(0);
}

}  // namespace

void zoo_qsort_callback(coppice::zoo::Step& next) {
  int numbers[] = {5, 3, 8, 1, 9, 2};
  step_of_comparison = &next;
  std::qsort(numbers, std::size(numbers), sizeof numbers[0], compare);
  for (std::size_t i = 1; i < std::size(numbers); ++i) {
    if (numbers[i - 1] >= numbers[i]) std::abort();
  }
}

void zoo_std_function(coppice::zoo::Step& next) {
  std::byte local[56];
  zoo_write_pattern(local, sizeof local);
  const std::function<void()> function = [&next, &local] {
    next.run();
    zoo_check_pattern(local, sizeof local);
  };
  zoo_opaque(reinterpret_cast<std::uintptr_t>(&function));  // what it holds is not known from here on
  call(function);
}
