#include "inspect/target/target.hpp"

#include <algorithm>
#include <iterator>

namespace coppice::inspect {

const Module* Target::module_at(Address address) const {
  const std::span<const Module> all = modules();
  const auto after = std::ranges::upper_bound(all, address, {}, &Module::start);
  if (after == all.begin()) return nullptr;
  const Module& module = *std::prev(after);
  return module.contains(address) ? &module : nullptr;
}

}  // namespace coppice::inspect
