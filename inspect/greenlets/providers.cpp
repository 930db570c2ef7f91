#include "inspect/greenlets/coppice_provider.hpp"
#include "inspect/greenlets/cpython_provider.hpp"

namespace coppice::inspect {

Result<std::vector<std::unique_ptr<Provider>>> find_providers(Target& target) {
  std::vector<std::unique_ptr<Provider>> providers;
  auto coppice = find_coppice(target);
  auto cpython = find_cpython(target);
  if (!coppice.ok() && !cpython) return std::move(coppice).error();
  if (coppice.ok() && *coppice) providers.push_back(std::move(coppice).value());
  if (cpython) providers.push_back(std::move(cpython));
  return providers;
}

}  // namespace coppice::inspect
