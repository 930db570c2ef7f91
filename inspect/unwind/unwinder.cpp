#include "inspect/unwind/unwinder.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "inspect/unwind/rule_cache.hpp"
#include "inspect/unwind/rule_learner.hpp"
#include "inspect/unwind/walker.hpp"
#include "inspect/worker/worker.hpp"

namespace coppice::inspect {
namespace {

// What decides whether a pc still means what it meant: where modules lie and which they are.
struct ModulePlace {
  Address start;
  Address end;
  std::uint64_t bias;
  std::string name;
  friend bool operator==(const ModulePlace&, const ModulePlace&) = default;
};

std::vector<ModulePlace> places_of(std::span<const Module> modules) {
  std::vector<ModulePlace> places;
  places.reserve(modules.size());
  for (const Module& module : modules) {
    // The build-id and path, not the identity: that one appears only once a file was opened.
    places.push_back({module.start, module.end, module.bias, module.build_id + " " + module.path});
  }
  return places;
}

// A walk that waits for a rule.
struct Paused {
  Paused(std::size_t request, const Walker& begun) : index(request), walker(begun) {}

  std::size_t index;
  Walker walker;
};

}  // namespace

struct Unwinder::Impl {
  Impl(Worker& used, Options chosen) : worker(used), options(chosen), learner(used) {}

  void look_at_modules(const Target& target);
  static std::vector<PcKey> missing(std::span<const Paused> paused);
  std::optional<Error> learn(const Target& target, std::span<const PcKey> keys);
  std::optional<FileKey> locate(const Target& target, const PcKey& key);
  const Result<worker::FileId>& file_of(const Target& target, const Module& module);
  template <class Next>
  std::vector<Paused> walk_by_known_rules(Next next, std::vector<Walk>& walks);
  void finish(const Walker& walker, Walk& walk);

  Worker& worker;
  Options options;
  RuleLearner learner;
  RuleCache cache;
  std::vector<ModulePlace> picture;
  const Target* pictured = nullptr;
  std::map<Address, Result<worker::FileId>> files;  // by start of module
  std::map<Address, Error> unreachable;             // by pc: why its module's file could not be had
  UnwindStats stats;
};

// What is known by pc holds only while the same modules lie at the same places.
void Unwinder::Impl::look_at_modules(const Target& target) {
  cache.trim();
  std::vector<ModulePlace> now = places_of(target.modules());
  if (pictured == &target && now == picture) return;
  pictured = &target;
  picture = std::move(now);
  cache.clear_pcs();
  files.clear();
  unreachable.clear();
}

const Result<worker::FileId>& Unwinder::Impl::file_of(const Target& target, const Module& module) {
  auto known = files.find(module.start);
  if (known == files.end()) known = files.emplace(module.start, worker.image(target, module)).first;
  return known->second;
}

// Where a pc's unwind information is: nothing when no file can be had, and then the pc has an unusable rule.
std::optional<FileKey> Unwinder::Impl::locate(const Target& target, const PcKey& key) {
  // A return address may lie just behind the module whose last instruction is the call.
  const Module* module = target.module_at(key.exact ? key.pc : key.pc - 1);
  if (module == nullptr) {
    cache.add(key, nullptr, Rule{});
    unreachable[key.pc] = Error{ErrorCode::no_unwind_info, key.pc, "this address lies in no known module"};
    return std::nullopt;
  }
  const auto& file = file_of(target, *module);
  if (!file.ok()) {
    cache.add(key, nullptr, Rule{});
    unreachable[key.pc] = Error{file.error().code, key.pc, file.error().message};
    return std::nullopt;
  }
  return FileKey{key.pc - module->bias, file.value(), key.exact};
}

// The pcs that walks wait for, each once.
std::vector<PcKey> Unwinder::Impl::missing(std::span<const Paused> paused) {
  std::vector<PcKey> keys;
  keys.reserve(paused.size());
  for (const Paused& waiting : paused) keys.push_back(waiting.walker.at());
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

std::optional<Error> Unwinder::Impl::learn(const Target& target, std::span<const PcKey> keys) {
  std::vector<PcKey> pcs;
  std::vector<FileKey> wanted;
  for (const PcKey& key : keys) {
    const auto file = locate(target, key);
    if (!file || cache.bind(key, *file)) continue;
    pcs.push_back(key);
    wanted.push_back(*file);
  }
  auto rules = learner.learn(wanted);
  if (!rules.ok()) return std::move(rules).error();
  for (std::size_t i = 0; i < pcs.size(); ++i) {
    cache.add(pcs[i], &wanted[i], rules.value()[i]);
    ++stats.rules_learned;
    if (!rules.value()[i].usable()) ++stats.rules_unusable;
  }
  return std::nullopt;
}

// Takes walks from `next` (which puts one there, until it has none) as far as what is known leads; returns
// those that wait for a rule. Several go on in turn, each asking the memory for its next words and leaving
// the time it takes to the others: stacks that lie cold cost little more than warm ones.
template <class Next>
std::vector<Paused> Unwinder::Impl::walk_by_known_rules(Next next, std::vector<Walk>& walks) {
  struct Lane {
    std::optional<Paused> on;
    std::vector<RawFrame> frames;
  };
  constexpr std::size_t lane_count = 12;  // about as many reads as a core keeps in flight
  std::array<Lane, lane_count> lanes;
  std::vector<Paused> paused;
  std::size_t busy = 0;
  auto load = [&](Lane& lane) {
    lane.on.reset();
    next(lane.on);
    if (!lane.on) return;
    const std::vector<RawFrame>& before = walks[lane.on->index].frames;
    lane.frames.assign(before.begin(), before.end());
    ++busy;
  };
  for (Lane& lane : lanes) load(lane);
  while (busy > 0) {
    for (Lane& lane : lanes) {
      if (!lane.on) continue;
      const Walker::Step done = lane.on->walker.step(cache, lane.frames);
      if (done == Walker::Step::moved) continue;
      Walk& walk = walks[lane.on->index];
      walk.frames = lane.frames;
      if (done == Walker::Step::missing) {
        paused.push_back(*lane.on);
      } else {
        finish(lane.on->walker, walk);
      }
      --busy;
      load(lane);
    }
  }
  return paused;
}

void Unwinder::Impl::finish(const Walker& walker, Walk& walk) {
  walk.end = walker.end();
  walk.error = walker.error();
  stats.frames += walk.frames.size();
  if (unreachable.empty() || !walk.error || walk.error->code != ErrorCode::no_unwind_info) return;
  if (auto why = unreachable.find(walk.error->address); why != unreachable.end()) walk.error = why->second;
}

Unwinder::Unwinder(Worker& worker) : Unwinder(worker, Options{}) {}
Unwinder::Unwinder(Worker& worker, Options options) : impl_(std::make_unique<Impl>(worker, options)) {}
Unwinder::~Unwinder() = default;

std::vector<Walk> Unwinder::walk(const Target& target, std::span<const WalkRequest> requests) {
  Impl& impl = *impl_;
  impl.look_at_modules(target);
  std::vector<Walk> walks(requests.size());
  std::size_t begun = 0;
  std::vector<Paused> paused = impl.walk_by_known_rules(
      [&](std::optional<Paused>& walk) {
        if (begun == requests.size()) return;
        walk.emplace(begun, Walker(requests[begun], impl.options.max_frames));
        ++begun;
        if (begun < requests.size()) __builtin_prefetch(&requests[begun].stack);
      },
      walks);
  std::uint64_t misses = 0;
  while (!paused.empty()) {
    misses += paused.size();
    if (const auto failed = impl.learn(target, impl.missing(paused))) {
      for (Paused& waiting : paused) {
        waiting.walker.abandon(*failed);
        impl.finish(waiting.walker, walks[waiting.index]);
      }
      break;
    }
    const std::vector<Paused> resumed = std::exchange(paused, {});
    std::size_t taken = 0;
    paused = impl.walk_by_known_rules(
        [&](std::optional<Paused>& walk) {
          if (taken < resumed.size()) walk = resumed[taken++];
        },
        walks);
  }
  std::uint64_t frames = 0;
  for (const Walk& walk : walks) frames += walk.frames.size();
  impl.stats.rule_hits += frames - std::min(frames, misses);
  impl.stats.worker_restarts = impl.worker.restarts();
  return walks;
}

const UnwindStats& Unwinder::stats() const noexcept {
  return impl_->stats;
}

}  // namespace coppice::inspect
