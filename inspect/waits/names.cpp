#include "inspect/waits/names.hpp"

#include <utility>

namespace coppice::inspect {

std::optional<std::string> given_name(Heap& heap, const Greenlet& greenlet) {
  const auto text = heap.attribute(greenlet.address, "name");
  return text ? heap.ascii(*text) : std::nullopt;
}

void name_greenlets(const Target& target, const PythonRuntime& python, std::span<Greenlet> greenlets) {
  constexpr int most_rounds = 64;
  Heap heap(target.memory(), python.layout, target.mappings());
  for (int round = 0; round < most_rounds; ++round) {
    heap.begin();
    for (Greenlet& greenlet : greenlets) {
      if (greenlet.provider != "cpython") continue;
      if (auto name = given_name(heap, greenlet)) greenlet.name = *std::move(name);
    }
    if (!heap.pending()) return;
    heap.fetch();
  }
}

}  // namespace coppice::inspect
