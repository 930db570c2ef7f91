#include "inspect/greenlets/cpython_provider.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "inspect/greenlets/cpython_scan.hpp"

namespace coppice::inspect {
namespace {

/// What is known of one extension from one reading to the next.
struct Known {
  GreenletExtension extension;
  Result<ResumePoint> resume;
  std::optional<PythonRuntime> python;
  std::optional<GreenletLayout> layout;
};

class CpythonProvider final : public Provider {
 public:
  CpythonProvider(const Target& target, std::vector<GreenletExtension> extensions,
                  const CpythonLimits& limits)
      : target_(target), limits_(limits) {
    for (GreenletExtension& extension : extensions) {
      auto resume = find_resume_point(target.memory(), extension);
      known_.push_back({std::move(extension), std::move(resume), std::nullopt, std::nullopt});
    }
  }

  const char* name() const override { return "cpython"; }

  Result<ProviderReading> read(const ReadOptions& options) override {
    ProviderReading reading;
    find_python_of_each(reading);
    std::optional<Error> failure;
    std::size_t failed = 0;
    for (Known& known : known_) {
      auto done = read_extension(known, options, reading);
      if (done.ok()) continue;
      ++failed;
      if (!failure) failure = done.error();
      reading.warnings.push_back(std::move(done).error().message);
    }
    if (failure && failed == known_.size()) return *std::move(failure);
    std::ranges::sort(reading.greenlets, {}, &Greenlet::address);
    return reading;
  }

 private:
  /// The CPython whose module holds the type of all types belongs to the extension. It may not have started
  /// when the target was opened, so it is looked for until it is there.
  void find_python_of_each(ProviderReading& reading) {
    if (std::ranges::all_of(known_, [](const Known& known) { return known.python.has_value(); })) return;
    PythonSearch search = find_python(target_);
    for (const Error& refused : search.refused) reading.warnings.push_back(refused.message);
    for (Known& known : known_) {
      const auto metatype = target_.memory().read_value<Address>(known.extension.type + 0x08);
      const Module* module = metatype.ok() ? target_.module_at(*metatype) : nullptr;
      for (const PythonRuntime& python : search.found) {
        const bool its_own = module != nullptr && module->start == python.module_start;
        if (its_own || (module == nullptr && search.found.size() == 1)) known.python = python;
      }
    }
  }

  Result<void> read_extension(Known& known, const ReadOptions& options, ProviderReading& reading) {
    if (known.extension.flat()) {
      return Error{ErrorCode::unsupported, known.extension.module.start,
                   fmt::format("{} is older than greenlet 2.0, which cannot be read yet",
                               known.extension.module.path)};
    }
    const std::vector<Address> places = find_places(known, reading);
    if (places.empty()) return {};
    if (!known.layout) {
      const auto version = known.python ? std::optional(known.python->version) : std::nullopt;
      auto layout = calibrate(target_.memory(), known.extension, places, version);
      if (!layout.ok()) return std::move(layout).error();
      if (!*layout) return {};
      known.layout = **layout;
    }
    const CpythonGreenlets what{known.extension, *known.layout, known.resume,
                                known.python ? &*known.python : nullptr};
    CpythonReading(target_, what, options, limits_).run(places, reading);
    return {};
  }

  std::vector<Address> find_places(const Known& known, ProviderReading& reading) const {
    WordScanLimits limits;
    limits.hits = limits_.greenlets;
    std::uint64_t left_out = 0;
    const std::vector<AddressRange> ranges = scannable(target_, ScanScope::heap, limits, &left_out);
    if (left_out > 0) {
      reading.warnings.push_back(
          fmt::format("{} mappings are too large to be searched; greenlets in them are not shown", left_out));
    }
    const GreenletExtension& extension = known.extension;
    std::vector<std::uint64_t> vtables{extension.user_vtable, extension.main_vtable};
    if (extension.broken_vtable != 0) vtables.push_back(extension.broken_vtable);
    const WordScan scan = scan_for_words(target_.memory(), ranges, vtables, limits);
    if (scan.too_many) reading.warnings.emplace_back("there are more greenlets than can be read");
    std::vector<Address> places;
    places.reserve(scan.hits.size());
    for (const WordHit& hit : scan.hits) places.push_back(hit.address);
    return places;
  }

  const Target& target_;
  CpythonLimits limits_;
  std::vector<Known> known_;
};

}  // namespace

std::unique_ptr<Provider> find_cpython(const Target& target, const CpythonLimits& limits) {
  std::vector<GreenletExtension> extensions = find_greenlet_extensions(target);
  if (extensions.empty()) return nullptr;
  return std::make_unique<CpythonProvider>(target, std::move(extensions), limits);
}

}  // namespace coppice::inspect
