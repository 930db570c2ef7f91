#include "inspect/snapshot/watch.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "inspect/python/python_locals.hpp"

namespace coppice::inspect {
namespace {

constexpr std::string_view gevent_type = "gevent._gevent_cgreenlet.Greenlet";

Error ran_on(const Greenlet& greenlet) {
  return {ErrorCode::torn, greenlet.address, "it ran on before they could be read"};
}

}  // namespace

Watch::Watch(const Target& target, std::span<const std::unique_ptr<Provider>> providers)
    : target_(target), providers_(providers) {
  // Those of our runtime say all by themselves.
  const auto needs_it = [](const auto& provider) { return std::string_view(provider->name()) != "coppice"; };
  if (std::ranges::any_of(providers, needs_it)) before_ = target.stillness();
}

/// Those that did not run when they were read and have run since.
std::vector<Greenlet*> Watch::gone_on(std::span<Greenlet* const> greenlets) const {
  std::vector<Greenlet*> gone;
  const bool live = target_.kind() == Target::Kind::live;
  if (greenlets.empty() || !live || (before_ && target_.stillness() == before_)) return gone;
  for (const std::unique_ptr<Provider>& provider : providers_) {
    std::vector<Greenlet*> own;
    for (Greenlet* greenlet : greenlets) {
      if (greenlet->state != State::running && greenlet->provider == provider->name())
        own.push_back(greenlet);
    }
    const std::vector<bool> there = provider->still_there(own);
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (!there[i]) gone.push_back(own[i]);
    }
  }
  return gone;
}

void Watch::forget_waits(std::span<SnapshotGreenlet> greenlets) const {
  std::vector<Greenlet*> waiting;
  for (SnapshotGreenlet& entry : greenlets) {
    if (entry.greenlet.waiting) waiting.push_back(&entry.greenlet);
  }
  for (Greenlet* greenlet : gone_on(waiting)) greenlet->waiting.reset();
}

void Watch::forget_origins(std::span<SnapshotGreenlet> greenlets) const {
  std::vector<Greenlet*> all;
  std::unordered_map<const Greenlet*, SnapshotGreenlet*> entries;
  for (SnapshotGreenlet& entry : greenlets) {
    const bool ended = entry.chosen && entry.greenlet.type == gevent_type;  // another object is there by now
    if (!entry.origin && !ended) continue;
    all.push_back(&entry.greenlet);
    entries.emplace(&entry.greenlet, &entry);
  }
  for (Greenlet* greenlet : gone_on(all)) {
    SnapshotGreenlet& entry = *entries.at(greenlet);
    entry.origin.reset();
    greenlet->spawner.reset();
    entry.origin_error = ran_on(*greenlet);
  }
}

void Watch::forget_locals(std::span<SnapshotGreenlet* const> greenlets,
                          std::span<PythonStacks::Found> stacks) const {
  std::vector<Greenlet*> all;
  all.reserve(greenlets.size());
  for (SnapshotGreenlet* entry : greenlets) all.push_back(&entry->greenlet);
  std::unordered_set<const Greenlet*> gone;
  for (const Greenlet* greenlet : gone_on(all)) gone.insert(greenlet);
  for (std::size_t i = 0; i < greenlets.size(); ++i) {
    const Greenlet* greenlet = &greenlets[i]->greenlet;
    if (!gone.contains(greenlet)) continue;
    const auto unknown = std::make_shared<const PythonLocals>(PythonLocals{{}, 0, ran_on(*greenlet)});
    for (PythonFrame& frame : stacks[i].stack.frames) frame.locals = unknown;
  }
}

}  // namespace coppice::inspect
