#include "inspect/snapshot/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "inspect/memory/slice_memory.hpp"
#include "inspect/snapshot/frames.hpp"
#include "inspect/snapshot/locals.hpp"
#include "inspect/snapshot/merge.hpp"
#include "inspect/snapshot/origins.hpp"
#include "inspect/snapshot/python_stacks.hpp"
#include "inspect/snapshot/selection.hpp"
#include "inspect/snapshot/watch.hpp"
#include "inspect/symbols/symbolizer.hpp"
#include "inspect/target/descriptors.hpp"
#include "inspect/unwind/unwinder.hpp"
#include "inspect/waits/names.hpp"
#include "inspect/waits/waits.hpp"
#include "inspect/worker/worker.hpp"

namespace coppice::inspect {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t ns_since(Clock::time_point start) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - start).count());
}

const char* name(Target::Kind kind) {
  switch (kind) {
    case Target::Kind::live:
      return "live";
    case Target::Kind::core:
      return "core";
    case Target::Kind::lent:
      return "lent";
  }
  return "live";
}

/// Changes when a module comes or goes: then the runtime is looked for again.
std::string fingerprint(std::span<const Module> modules) {
  std::string text;
  for (const Module& module : modules) {
    text += fmt::format("{:x}-{:x} {} {}\n", module.start, module.end, module.build_id, module.path);
  }
  return text;
}

/// A running greenlet that could not be walked for want of registers is "not walked", not broken.
bool only_unwalked(const Greenlet& greenlet) {
  return greenlet.state == State::running && greenlet.error && greenlet.error->code != ErrorCode::torn &&
         greenlet.error->code != ErrorCode::corrupt;
}

bool has_stack(State state) {
  return state == State::running || asleep(state);
}

WalkRequest request_for(const Greenlet& greenlet) {
  WalkRequest request;
  request.registers = greenlet.registers;
  request.exact_pc = greenlet.exact_pc;
  request.stack = greenlet.stack;
  request.stack_start = greenlet.slice.start;
  request.stack_stop = greenlet.slice.stop;
  request.base_code = greenlet.base_code;
  return request;
}

/// All greenlets, oldest switch first; those that never switched before them all, by id. One switch has one
/// time: of its two greenlets the one that was switched to is the later one.
std::vector<Greenlet*> in_order(std::vector<ProviderReading>& parts) {
  struct Keyed {
    std::uint64_t last_switch;
    bool runs;
    std::size_t place;  // decides between equals
    Greenlet* greenlet;
  };
  std::vector<Keyed> keyed;
  for (ProviderReading& part : parts) {
    for (Greenlet& greenlet : part.greenlets) {
      keyed.push_back({greenlet.last_switch, greenlet.state == State::running, keyed.size(), &greenlet});
    }
  }
  std::ranges::sort(keyed, {},
                    [](const Keyed& key) { return std::tuple(key.last_switch, key.runs, key.place); });
  std::vector<Greenlet*> greenlets;
  greenlets.reserve(keyed.size());
  for (const Keyed& key : keyed) greenlets.push_back(key.greenlet);
  return greenlets;
}

/// What a view leaves out where it can: of merged stacks the interpreters, for Python frames alone
/// everything.
Folded folded_modules(const PythonStacks& python, FrameChoice choice) {
  std::vector<Interned> interpreters = python.interpreters();
  if (interpreters.empty() || choice == FrameChoice::native) return {};
  if (choice == FrameChoice::python) return [](std::string_view) { return true; };
  return [interpreters = std::move(interpreters)](std::string_view path) {
    return std::ranges::find(interpreters, path) != interpreters.end();
  };
}

}  // namespace

struct Session::Impl {
  std::unique_ptr<Target> target;
  Worker worker;
  Unwinder unwinder{worker};
  Symbolizer symbolizer{worker};
  PythonStacks python;
  std::vector<std::unique_ptr<Provider>> providers;
  std::string modules;  ///< fingerprint of those in which the providers were found

  explicit Impl(std::unique_ptr<Target> opened) : target(std::move(opened)) {}

  Result<void> find_providers_again();
  Result<std::vector<ProviderReading>> read(const ReadOptions& options);
  Result<std::vector<ProviderReading>> read_chosen(const SnapshotOptions& options,
                                                   std::unordered_set<Address>& chosen);
  void find_waits(Snapshot& snapshot) const;
  void find_origins(Snapshot& snapshot) const;
  void walk(Snapshot& snapshot, const SnapshotOptions& options, const Watch& watch);
  void describe_target(Snapshot& snapshot) const;
};

Result<void> Session::Impl::find_providers_again() {
  std::string now = fingerprint(target->modules());
  if (now == modules && !providers.empty()) return {};
  providers.clear();
  modules.clear();
  if (target->modules().empty()) {
    return Error{
        ErrorCode::truncated, 0,
        "the target does not tell which program and libraries it runs (a core whose notes are missing?), "
        "so nobody's greenlets can be found in it"};
  }
  auto found = find_providers(*target);
  if (!found.ok()) return std::move(found).error();
  providers = std::move(found).value();
  python.find(*target);
  modules = std::move(now);
  return {};
}

Result<std::vector<ProviderReading>> Session::Impl::read(const ReadOptions& options) {
  std::vector<ProviderReading> readings;
  std::optional<Error> failure;
  for (const std::unique_ptr<Provider>& provider : providers) {
    auto reading = provider->read(options);
    if (reading.ok()) {
      readings.push_back(std::move(reading).value());
    } else if (!failure) {
      failure = std::move(reading).error();
    }
  }
  if (readings.empty() && failure) return *std::move(failure);
  if (failure) readings.front().warnings.push_back(failure->message);
  return readings;
}

/// Reads once for the names, then again with the stacks of those that were asked for.
Result<std::vector<ProviderReading>> Session::Impl::read_chosen(const SnapshotOptions& options,
                                                                std::unordered_set<Address>& chosen) {
  ReadOptions reading;
  reading.stacks = false;
  reading.stopping = options.stopping;
  auto all = read(reading);
  if (!all.ok()) return std::move(all).error();
  std::vector<Greenlet> greenlets;
  for (ProviderReading& part : *all) {
    std::ranges::move(part.greenlets, std::back_inserter(greenlets));
  }
  if (const PythonRuntime* runtime = python.only_runtime()) name_greenlets(*target, *runtime, greenlets);
  std::unordered_set<std::string> ids;
  for (const std::string& wanted : options.ids) {
    const auto greenlet = select_greenlet(greenlets, wanted);
    if (!greenlet.ok()) return greenlet.error();
    chosen.insert((*greenlet)->address);
    ids.insert((*greenlet)->id);
  }
  // An address is used again when its greenlet has gone, an id is not.
  reading.stacks = options.frames;
  reading.wants_stack = [&](const Greenlet& greenlet) {
    return chosen.contains(greenlet.address) && ids.contains(greenlet.id);
  };
  auto parts = read(reading);
  if (!parts.ok()) return std::move(parts).error();
  std::size_t found = 0;
  for (const ProviderReading& part : *parts) {
    found += static_cast<std::size_t>(std::ranges::count_if(part.greenlets, reading.wants_stack));
  }
  if (found < chosen.size()) {
    parts->front().warnings.emplace_back("a greenlet that was asked for has ended meanwhile");
  }
  return parts;
}

/// What the program did not say itself.
void Session::Impl::find_waits(Snapshot& snapshot) const {
  const PythonRuntime* runtime = python.only_runtime();
  if (runtime == nullptr) return;
  const bool live = target->kind() == Target::Kind::live;
  Descriptors descriptors(target->pid());
  WaitContext context;
  if (live) {
    context.describe_fd = [&descriptors](int fd) { return descriptors.describe(fd); };
    context.now = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
  }
  std::vector<Greenlet*> greenlets;
  greenlets.reserve(snapshot.greenlets.size());
  for (SnapshotGreenlet& entry : snapshot.greenlets) greenlets.push_back(&entry.greenlet);
  inspect::find_waits(*target, *runtime, greenlets, context);
}

void Session::Impl::find_origins(Snapshot& snapshot) const {
  const PythonRuntime* runtime = python.only_runtime();
  if (runtime != nullptr) read_origins(target->memory(), *runtime, snapshot.greenlets);
}

void Session::Impl::walk(Snapshot& snapshot, const SnapshotOptions& options, const Watch& watch) {
  std::vector<WalkRequest> requests;
  std::vector<SnapshotGreenlet*> walked;
  for (SnapshotGreenlet& entry : snapshot.greenlets) {
    if (!entry.chosen || !has_stack(entry.greenlet.state)) continue;
    if (entry.error) {
      if (!only_unwalked(entry.greenlet)) entry.end = End::error;
      if (entry.error->code == ErrorCode::truncated) entry.end = End::truncated;
      continue;
    }
    requests.push_back(request_for(entry.greenlet));
    walked.push_back(&entry);
  }
  std::vector<const Greenlet*> greenlets;
  greenlets.reserve(walked.size());
  for (const SnapshotGreenlet* entry : walked) greenlets.push_back(&entry->greenlet);
  std::vector<PythonStacks::Found> python_stacks = python.name(*target, greenlets);
  if (options.locals) {
    read_locals(target->memory(), python_stacks);
    watch.forget_locals(walked, python_stacks);
  }
  if (options.progress) options.progress("unwinding", 0, requests.size());
  const auto unwinding = Clock::now();
  std::vector<Walk> walks = unwinder.walk(*target, requests);
  snapshot.stats.unwind_ns = ns_since(unwinding);
  for (SnapshotGreenlet* entry : walked) entry->greenlet.stack = {};  // makes room for the frames
  for (const Walk& walk : walks) snapshot.stats.frames += walk.frames.size();

  const auto symbolizing = Clock::now();
  if (options.progress && options.symbols) options.progress("naming frames", 0, walks.size());
  const Folded folded = folded_modules(python, options.choice);
  auto frames = name_frames(*target, options.symbols ? &symbolizer : nullptr, walks, folded);
  for (std::size_t i = 0; i < walks.size(); ++i) {
    walked[i]->frames = std::move(frames[i]);
    walked[i]->end = walks[i].end;
    if (walks[i].end == End::base && !walked[i]->frames.empty()) {
      walked[i]->outermost_sp = walked[i]->frames.back().sp;
    }
    walked[i]->error = walks[i].error;
    snapshot.stats.frames += python_stacks[i].stack.frames.size();
    if (python_stacks[i].evaluator != nullptr) {
      merge_python(*walked[i], python_stacks[i].stack, *python_stacks[i].evaluator, options.choice);
    } else {
      walked[i]->python_error = std::move(python_stacks[i].stack.error);
    }
  }
  if (options.symbols && folded) name_what_is_left(*target, symbolizer, walked, folded);
  snapshot.stats.symbolize_ns = ns_since(symbolizing);
  if (options.symbols) std::ranges::move(symbolizer.take_warnings(), std::back_inserter(snapshot.warnings));
}

void Session::Impl::describe_target(Snapshot& snapshot) const {
  snapshot.target.kind = name(target->kind());
  snapshot.target.pid = target->pid();
  snapshot.target.executable = target->executable();
  snapshot.target.command_line = target->command_line();
  snapshot.target.core = target->core_path();
  std::ranges::copy(target->warnings(), std::back_inserter(snapshot.warnings));
}

namespace {

/// The threads of the target, and which greenlets are theirs.
std::vector<SnapshotThread> threads_of(const Target& target, std::span<const SnapshotGreenlet> greenlets) {
  std::vector<SnapshotThread> threads;
  for (const Thread& thread : target.threads()) {
    threads.push_back({thread.tid, thread.nstid, thread.name, std::nullopt, std::nullopt});
  }
  for (const SnapshotGreenlet& entry : greenlets) {
    const Greenlet& greenlet = entry.greenlet;
    if (!greenlet.tid || (!greenlet.main && greenlet.state != State::running)) continue;
    const auto thread = std::ranges::lower_bound(threads, *greenlet.tid, {}, &SnapshotThread::tid);
    if (thread == threads.end() || thread->tid != *greenlet.tid) continue;
    if (greenlet.main) thread->main = greenlet.id;
    if (greenlet.state == State::running) thread->current = greenlet.id;
  }
  return threads;
}

}  // namespace

Session::Session(std::unique_ptr<Target> target) : impl_(std::make_unique<Impl>(std::move(target))) {}
Session::~Session() = default;

Address Session::outermost_sp(const Greenlet& greenlet) {
  const SliceMemory stack = SliceMemory::fetch(greenlet.slice, impl_->target->memory());
  WalkRequest request = request_for(greenlet);
  request.stack = stack.stack();
  const std::vector<Walk> walks = impl_->unwinder.walk(*impl_->target, {&request, 1});
  const Walk& walk = walks.front();
  return walk.end == End::base && !walk.frames.empty() ? walk.frames.back().sp : 0;
}

Target& Session::target() noexcept {
  return *impl_->target;
}
const UnwindStats& Session::unwind_stats() const noexcept {
  return impl_->unwinder.stats();
}

Result<Snapshot> Session::take(const SnapshotOptions& options) {
  Snapshot snapshot;
  snapshot.stats.taken_unix_ns =
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto reading = Clock::now();
  if (auto done = impl_->target->refresh(); !done.ok()) return std::move(done).error();
  if (auto done = impl_->find_providers_again(); !done.ok()) return std::move(done).error();
  impl_->describe_target(snapshot);
  std::ranges::copy(impl_->python.warnings(), std::back_inserter(snapshot.warnings));
  for (const auto& provider : impl_->providers) snapshot.providers.emplace_back(provider->name());

  const Watch watch(*impl_->target, impl_->providers);
  if (options.progress) options.progress("reading greenlets", 0, 0);
  std::unordered_set<Address> chosen;
  ReadOptions all;
  all.stopping = options.stopping;
  // What a greenlet of CPython waits for is found on its stack.
  if (!options.frames) {
    all.wants_stack = [](const Greenlet& greenlet) {
      return greenlet.provider != "coppice" && greenlet.state != State::running;
    };
  }
  auto parts = options.ids.empty() ? impl_->read(all) : impl_->read_chosen(options, chosen);
  if (!parts.ok()) {
    // A process that died looks like one whose tables cannot be read; say what happened.
    if (auto alive = impl_->target->refresh(); !alive.ok()) return std::move(alive).error();
    return std::move(parts).error();
  }
  for (ProviderReading& part : *parts) {
    snapshot.stats.torn += part.torn;
    snapshot.stats.retried += part.retried;
    snapshot.stats.lost += part.lost;
    snapshot.stats.switches += part.switches;
    snapshot.stats.bytes_copied += part.bytes_copied;
    std::ranges::move(part.warnings, std::back_inserter(snapshot.warnings));
  }
  const std::vector<Greenlet*> greenlets = in_order(*parts);
  snapshot.greenlets.reserve(greenlets.size());
  for (Greenlet* greenlet : greenlets) {
    SnapshotGreenlet& entry = snapshot.greenlets.emplace_back();
    entry.chosen = options.ids.empty() || chosen.contains(greenlet->address);
    entry.error = greenlet->error;
    entry.greenlet = std::move(*greenlet);
  }
  parts->clear();
  snapshot.stats.read_ns = ns_since(reading);
  impl_->find_waits(snapshot);
  watch.forget_waits(snapshot.greenlets);
  if (options.origins) {
    impl_->find_origins(snapshot);
    watch.forget_origins(snapshot.greenlets);
  }
  if (options.frames) impl_->walk(snapshot, options, watch);
  for (SnapshotGreenlet& entry : snapshot.greenlets) entry.greenlet.stack = {};

  if (auto alive = impl_->target->refresh(); !alive.ok() && alive.error().code == ErrorCode::gone) {
    if (snapshot.greenlets.empty()) return std::move(alive).error();
    snapshot.target_died = true;
    snapshot.warnings.push_back("the process exited while it was read; what could be read is shown");
  }
  snapshot.threads = threads_of(*impl_->target, snapshot.greenlets);
  count_states(snapshot);
  return snapshot;
}

}  // namespace coppice::inspect
