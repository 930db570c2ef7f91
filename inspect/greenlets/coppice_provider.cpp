#include "inspect/greenlets/coppice_provider.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace coppice::inspect {
namespace {

/// Ids are decimal: by length, then by digits. Greenlets are large, so they are moved once at most.
void sort_by_id(std::vector<Greenlet>& greenlets) {
  const auto key = [](const Greenlet& greenlet) {
    return std::tuple(greenlet.id.size(), std::string_view(greenlet.id), greenlet.address);
  };
  if (std::ranges::is_sorted(greenlets, {}, key)) return;
  std::vector<Greenlet*> order;
  order.reserve(greenlets.size());
  for (Greenlet& greenlet : greenlets) order.push_back(&greenlet);
  std::ranges::sort(order, {}, [key](const Greenlet* greenlet) { return key(*greenlet); });
  std::vector<Greenlet> sorted;
  sorted.reserve(greenlets.size());
  for (Greenlet* greenlet : order) sorted.push_back(std::move(*greenlet));
  greenlets = std::move(sorted);
}

class CoppiceProvider final : public Provider {
 public:
  CoppiceProvider(const Target& target, std::vector<Address> tables, const CoppiceLimits& limits)
      : target_(target), tables_(std::move(tables)), limits_(limits) {}

  const char* name() const override { return "coppice"; }

  Result<ProviderReading> read(const ReadOptions& options) override {
    ProviderReading reading;
    std::optional<Error> failure;
    std::size_t failed = 0;
    for (Address address : tables_) {
      auto done = read_table(address, options, reading);
      if (done.ok()) continue;
      ++failed;
      reading.warnings.push_back(
          fmt::format("a coppice runtime at {:#x} is left out: {}", address, done.error().message));
      if (!failure) failure = std::move(done).error();
    }
    if (failed == tables_.size() && failure) return *std::move(failure);
    sort_by_id(reading.greenlets);
    if (tables_.size() - failed > 1) {
      reading.warnings.push_back(
          fmt::format("{} coppice runtimes are in this process, each counting from 1: where an id is not "
                      "unique, use addresses",
                      tables_.size() - failed));
    }
    return reading;
  }

 private:
  Result<void> read_table(Address address, const ReadOptions& options, ProviderReading& reading) {
    const auto table = read_coppice_table(target_.memory(), address);
    if (!table.ok()) return table.error();
    return CoppiceReading(target_, *table, options, limits_).run(reading);
  }

  const Target& target_;
  std::vector<Address> tables_;
  CoppiceLimits limits_;
};

}  // namespace

Result<std::unique_ptr<Provider>> find_coppice(const Target& target, const CoppiceLimits& limits) {
  std::vector<Address> tables;
  std::optional<Error> failure;
  for (const Module& module : target.modules()) {
    const auto address = find_coppice_table(target, module);
    if (!address) continue;
    const auto table = read_coppice_table(target.memory(), *address);
    if (!table.ok() && !failure) failure = table.error();
    tables.push_back(*address);  // one that cannot be read is left out by every read(), with a warning
  }
  if (failure && tables.size() == 1) return *std::move(failure);
  if (tables.empty()) return std::unique_ptr<Provider>();
  return std::unique_ptr<Provider>(std::make_unique<CoppiceProvider>(target, std::move(tables), limits));
}

}  // namespace coppice::inspect
