#include "inspect/greenlets/cpython_provider.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "inspect/greenlets/cpython_objects.hpp"

namespace coppice::inspect {
namespace {

/// What is known of one extension from one reading to the next.
struct Known {
  GreenletExtension extension;
  Result<ResumePoint> resume;
  std::optional<PythonRuntime> python;
  std::optional<GreenletLayout> layout;
  GreenletFinder finder;
};

/// Those fields that a switch changes.
GreenletFields fields_of(const Greenlet& greenlet, Address place) {
  GreenletFields fields;
  fields.object = greenlet.address;
  fields.pimpl = place;
  fields.start = greenlet.slice.start;
  // Without a base it is a main greenlet, whose slice ends where the stack does.
  const bool has_base = !(greenlet.base_code == AddressRange());
  fields.stop = has_base ? greenlet.slice.stop : UINT64_MAX;
  fields.copy = greenlet.slice.copy;
  fields.saved = greenlet.slice.saved;
  const PythonPosition position = greenlet.python.value_or(PythonPosition());
  fields.top_frame = position.top_frame;
  fields.current_frame = position.current_frame;
  return fields;
}

bool has_no_stack(const Greenlet& greenlet) {
  return greenlet.state == State::unstarted || greenlet.state == State::finished;
}

/// Whether it is unstarted or finished still (cpython_states.hpp has the tests).
bool same_without_stack(const Greenlet& greenlet, const GreenletFields& now) {
  const bool started = now.stop != 0;
  return now.object == greenlet.address && now.start == 0 && started == (greenlet.state == State::finished);
}

class CpythonProvider final : public Provider {
 public:
  CpythonProvider(const Target& target, std::vector<GreenletExtension> extensions,
                  const CpythonLimits& limits)
      : target_(target), limits_(limits) {
    for (GreenletExtension& extension : extensions) {
      auto resume = find_resume_point(target.memory(), extension);
      GreenletFinder finder(target, extension, limits.search);
      known_.push_back(
          {std::move(extension), std::move(resume), std::nullopt, std::nullopt, std::move(finder)});
    }
  }

  const char* name() const override { return "cpython"; }

  Result<ProviderReading> read(const ReadOptions& options) override {
    if (target_.mappings().empty()) {
      return Error{
          ErrorCode::unsupported, 0,
          "the greenlets of this CPython cannot be looked for, since its memory map is not known here"};
    }
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
    return reading;
  }

  std::vector<bool> still_there(std::span<Greenlet* const> greenlets) const override {
    std::vector<bool> same(greenlets.size(), false);
    for (const Known& known : known_) {
      if (known.layout) find_same(known, *known.layout, greenlets, same);
    }
    return same;
  }

 private:
  /// Marks those that are greenlets of this extension and have not been switched.
  void find_same(const Known& known, const GreenletLayout& layout, std::span<Greenlet* const> greenlets,
                 std::vector<bool>& same) const {
    const CpythonGreenlets what{known.extension, layout, known.resume,
                                known.python ? &*known.python : nullptr};
    GreenletTypes types(target_.memory(), layout, known.extension.type);
    const ReadOptions options;
    const std::vector<PythonThread> none;
    GreenletCopier copier(target_, what, options, limits_, types, none);
    RangeReader places(target_.memory());
    for (const Greenlet* greenlet : greenlets) places.add(greenlet->address + layout.pimpl, sizeof(Address));
    places.read();
    std::vector<CopiedGreenlet> copied;
    copied.reserve(greenlets.size());
    for (std::size_t i = 0; i < greenlets.size(); ++i) {
      const Address place = layout.flat() ? greenlets[i]->address : places.word(i).value_or(0);
      copied.push_back({fields_of(*greenlets[i], place), std::move(*greenlets[i]), false});
    }
    copier.verify(copied);
    std::vector<GreenletFields> now;
    read_fields(known, layout, types, copied, now);
    for (std::size_t i = 0; i < greenlets.size(); ++i) {
      *greenlets[i] = std::move(copied[i].greenlet);
      same[i] = same[i] ||
                (has_no_stack(*greenlets[i]) ? same_without_stack(*greenlets[i], now[i]) : !copied[i].torn);
    }
  }

  void read_fields(const Known& known, const GreenletLayout& layout, GreenletTypes& types,
                   std::span<const CopiedGreenlet> copied, std::vector<GreenletFields>& now) const {
    std::vector<Address> places;
    places.reserve(copied.size());
    for (const CopiedGreenlet& one : copied) places.push_back(one.fields.pimpl);
    GreenletFieldReader(target_.memory(), known.extension, layout, types).read(places, now);
  }

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
    const std::optional<std::string> before = target_.stillness();
    std::vector<Address> places = known.finder.find();
    std::ranges::copy(known.finder.warnings(), std::back_inserter(reading.warnings));
    if (places.empty()) return {};
    if (!known.layout) {
      auto layout = find_layout(known, places);
      if (!layout.ok()) return std::move(layout).error();
      known.layout = std::move(layout).value();
    }
    if (!known.layout) return {};
    const CpythonGreenlets what{known.extension, *known.layout, known.resume,
                                known.python ? &*known.python : nullptr};
    CpythonReading(target_, what, known.finder, before, options, limits_).run(std::move(places), reading);
    return {};
  }

  Result<std::optional<GreenletLayout>> find_layout(const Known& known,
                                                    std::span<const Address> places) const {
    const auto version = known.python ? std::optional(known.python->version) : std::nullopt;
    if (!known.extension.flat()) return calibrate(target_.memory(), known.extension, places, version);
    auto layout = flat_layout(target_.memory(), known.extension, version);
    if (!layout.ok()) return std::move(layout).error();
    return std::optional(*layout);
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
