// What being looked at costs an unmodified CPython process (watched.py), seen from inside it. Part of
// bench_snapshot.
//
//   watched/WHO/N    the program switches between N greenlets all the time and is looked at once a second,
//   for
//                    so many seconds. The time is that of one look. Counters: `pause_ms`, the longest time in
//                    a second that the program did not run (median of the seconds; `worst_ms` the longest of
//                    all); `speed`, its switches in a second, 1 is when nobody looks; `page_tables`, their
//                    growth; `greenlets` seen. WHO: nobody (the noise of this machine), gldump (a warm
//                    session, as in gltop), nonblocking, and py-spy, pystack, gdb (attach, bt, detach), which
//                    see no greenlet but the one that runs.
//   asleep/WHAT/N    whole snapshots of the same program asleep, with merged frames and symbols: `warm` by
//   one
//                    session, `cold` by a new one each time, coppice-worker's start included; `heap` warm,
//                    with 2 GB of small objects; `gevent` warm, of greenlets that wait in gevent.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "inspect/snapshot/session.hpp"
#include "tests/bench/watched_program.hpp"

namespace coppice::bench {
namespace {

using namespace coppice::inspect;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int seconds = 5;

WatchedProgram& program(unsigned greenlets, WatchedProgram::Mode mode, unsigned megabytes = 0) {
  // One at a time: two that switch would hinder each other.
  static std::unique_ptr<WatchedProgram> running;
  static std::tuple<unsigned, WatchedProgram::Mode, unsigned> which;
  const std::tuple wanted(greenlets, mode, megabytes);
  if (!running || which != wanted) {
    running.reset();
    running = std::make_unique<WatchedProgram>(greenlets, mode, megabytes);
    which = wanted;
  }
  return *running;
}

std::unique_ptr<Session> open_session(pid_t pid) {
  auto target = open_process(pid);
  if (!target.ok()) return nullptr;
  return std::make_unique<Session>(std::move(target).value());
}

/// Looks once; how many greenlets it saw, none when it could not.
using Look = std::function<std::optional<std::size_t>()>;

Look look_of_session(pid_t pid, Stopping stopping) {
  std::shared_ptr<Session> session = open_session(pid);
  return [session, stopping]() -> std::optional<std::size_t> {
    SnapshotOptions options;
    options.stopping = stopping;
    if (!session) return std::nullopt;
    const auto snapshot = session->take(options);
    if (!snapshot.ok()) return std::nullopt;
    return snapshot->greenlets.size();
  };
}

/// Another program; none when it is not installed.
Look look_of(const std::string& tool, std::vector<std::string> arguments) {
  std::string path = find_tool(tool);
  if (path.empty()) return {};
  arguments.insert(arguments.begin(), std::move(path));
  return [arguments]() -> std::optional<std::size_t> {
    if (run_quietly(arguments) != 0) return std::nullopt;
    return 1;
  };
}

/// Switches in a second when nobody looks, of each number of greenlets.
std::map<unsigned, double>& undisturbed() {
  static std::map<unsigned, double> speeds;
  return speeds;
}

void watch(benchmark::State& state, const std::string& who) {
  if (!has_module("greenlet")) return state.SkipWithError("the system's Python has no greenlet extension");
  const auto greenlets = static_cast<unsigned>(state.range(0));
  WatchedProgram& watched = program(greenlets, WatchedProgram::Mode::switching);
  const std::string pid = std::to_string(watched.pid());
  Look look = [] { return std::size_t{0}; };
  if (who == "gldump") look = look_of_session(watched.pid(), Stopping::allowed);
  if (who == "nonblocking") look = look_of_session(watched.pid(), Stopping::never);
  if (who == "py-spy") look = look_of("py-spy", {"dump", "-p", pid});
  if (who == "py-spy-native") look = look_of("py-spy", {"dump", "--native", "-p", pid});
  if (who == "pystack") look = look_of("pystack", {"remote", pid});
  if (who == "pystack-native") look = look_of("pystack", {"remote", "--native", pid});
  if (who == "gdb") look = look_of("gdb", {"-nx", "-batch", "-p", pid, "-ex", "bt", "-ex", "detach"});
  if (!look) return state.SkipWithError("not installed (tests/bench/tools installs py-spy and pystack)");
  if (!look()) return state.SkipWithError("it could not look");  // the first look is a cold one
  std::vector<double> pauses;
  double switches = 0;
  std::size_t seen = 0;
  const auto page_tables = static_cast<double>(watched.page_tables());
  for (auto _ : state) {
    watched.take_longest_pause();
    const std::uint64_t before = watched.switches();
    const auto start = Clock::now();
    seen = look().value_or(0);
    const auto took = Clock::now() - start;
    std::this_thread::sleep_until(start + std::max<Clock::duration>(took, std::chrono::seconds(1)));
    const std::chrono::duration<double> second = Clock::now() - start;
    switches += static_cast<double>(watched.switches() - before) / second.count();
    pauses.push_back(Milliseconds(watched.take_longest_pause()).count());
    state.SetIterationTime(std::chrono::duration<double>(took).count());
  }
  std::ranges::sort(pauses);
  switches /= static_cast<double>(pauses.size());
  if (who == "nobody") undisturbed()[greenlets] = switches;
  state.counters["pause_ms"] = pauses[pauses.size() / 2];
  state.counters["worst_ms"] = pauses.back();
  const auto alone = undisturbed().find(greenlets);
  if (alone != undisturbed().end()) state.counters["speed"] = switches / alone->second;
  state.counters["page_tables"] = static_cast<double>(watched.page_tables()) / page_tables - 1;
  state.counters["greenlets"] = static_cast<double>(seen);
}

void look_at_sleeper(benchmark::State& state, bool cold, unsigned megabytes,
                     WatchedProgram::Mode mode = WatchedProgram::Mode::sleeping) {
  const char* const module = mode == WatchedProgram::Mode::gevent ? "gevent" : "greenlet";
  if (!has_module(module)) return state.SkipWithError("the system's Python lacks the module");
  const auto greenlets = static_cast<unsigned>(state.range(0));
  const WatchedProgram& watched = program(greenlets, mode, megabytes);
  std::unique_ptr<Session> session = open_session(watched.pid());
  if (!session) return state.SkipWithError("it cannot be opened");
  if (!cold) (void)session->take({});
  std::uint64_t read = 0, unwind = 0, name = 0, incomplete = 0;
  const auto page_tables = static_cast<double>(watched.page_tables());
  for (auto _ : state) {
    if (cold) session = open_session(watched.pid());
    const auto snapshot = session->take({});
    if (!snapshot.ok()) return state.SkipWithError(snapshot.error().message.c_str());
    if (snapshot->greenlets.size() <= greenlets) return state.SkipWithError("greenlets are missing");
    read += snapshot->stats.read_ns;
    unwind += snapshot->stats.unwind_ns;
    name += snapshot->stats.symbolize_ns;
    incomplete += snapshot->stats.incomplete;
  }
  const auto average = [](double value) {
    return benchmark::Counter(value, benchmark::Counter::kAvgIterations);
  };
  state.counters["read"] = average(static_cast<double>(read) / 1e6);
  state.counters["unwind"] = average(static_cast<double>(unwind) / 1e6);
  state.counters["name"] = average(static_cast<double>(name) / 1e6);
  state.counters["incomplete"] = average(static_cast<double>(incomplete));
  state.counters["page_tables"] = static_cast<double>(watched.page_tables()) / page_tables - 1;
}

bool register_all() {
  for (const unsigned greenlets : {100, 1'000, 10'000}) {
    for (const char* who :
         {"nobody", "gldump", "nonblocking", "py-spy", "py-spy-native", "pystack", "pystack-native", "gdb"}) {
      const std::string name = std::string("watched/") + who;
      benchmark::RegisterBenchmark(name.c_str(), [who](benchmark::State& state) { watch(state, who); })
          ->Arg(greenlets)
          ->Iterations(seconds)
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
    benchmark::RegisterBenchmark("asleep/warm",
                                 [](benchmark::State& state) { look_at_sleeper(state, false, 0); })
        ->Arg(greenlets)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark("asleep/cold",
                                 [](benchmark::State& state) { look_at_sleeper(state, true, 0); })
        ->Arg(greenlets)
        ->Iterations(5)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  for (const unsigned greenlets : {1'000, 10'000}) {
    benchmark::RegisterBenchmark(
        "asleep/gevent",
        [](benchmark::State& state) { look_at_sleeper(state, false, 0, WatchedProgram::Mode::gevent); })
        ->Arg(greenlets)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("asleep/heap",
                               [](benchmark::State& state) { look_at_sleeper(state, false, 2048); })
      ->Arg(1'000)
      ->Iterations(3)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  return true;
}

const bool registered = register_all();

}  // namespace
}  // namespace coppice::bench
