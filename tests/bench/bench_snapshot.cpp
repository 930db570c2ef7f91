// What a whole snapshot costs: greenlets of a living child process, read, walked and named.
//
//   warm/N/SYMBOLS   a session that has seen the process before: rules and names are cached
//   cold/N/SYMBOLS   a new session each time: coppice-worker starts, learns and reads debug information
//   list/N           without frames
//   watched, asleep  of CPython processes: see watched.cpp
// Counters, in ms of one snapshot: `read`, `unwind`, `name`; `frames` in all; `ns_frame` of unwinding;
// `incomplete` stacks (0 unless something is wrong). The target: 10,000 greenlets without symbols under 30
// ms, warm.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <coppice/greenlet.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "inspect/snapshot/session.hpp"

namespace {

using namespace coppice::inspect;

// Which of the two each level calls is a bit of the greenlet's number, so that most stacks differ.
[[gnu::noinline]] void left(unsigned path, int depth);
[[gnu::noinline]] void right(unsigned path, int depth);

void descend(unsigned path, int depth) {
  if (depth == 0) {
    coppice::main_greenlet().switch_to();
  } else if (path % 2 == 0) {
    left(path / 2, depth - 1);
  } else {
    right(path / 2, depth - 1);
  }
  asm volatile("" : : : "memory");  // no tail calls
}

void left(unsigned path, int depth) {
  volatile char frame[24];
  frame[0] = 0;
  descend(path, depth);
  asm volatile("" : : "r"(frame) : "memory");
}

void right(unsigned path, int depth) {
  volatile char frame[56];
  frame[0] = 0;
  descend(path, depth);
  asm volatile("" : : "r"(frame) : "memory");
}

/// Never returns.
[[noreturn]] void sleep_with(unsigned greenlets, int ready) {
  std::vector<coppice::Greenlet> all;
  all.reserve(greenlets);
  for (unsigned i = 0; i < greenlets; ++i) {
    all.push_back(coppice::spawn([i] { descend(i, 7); }));
    all.back().switch_to();
  }
  const char byte = 0;
  if (write(ready, &byte, 1) != 1) _exit(1);
  for (;;) pause();
}

/// A child with so many sleeping greenlets, ended at exit.
class Sleepers {
 public:
  explicit Sleepers(unsigned greenlets) {
    int ready[2];
    if (pipe(ready) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      sleep_with(greenlets, ready[1]);
    }
    char byte = 0;
    if (read(ready[0], &byte, 1) != 1) std::abort();
    close(ready[0]);
    close(ready[1]);
  }
  ~Sleepers() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Sleepers(const Sleepers&) = delete;
  Sleepers& operator=(const Sleepers&) = delete;

  std::unique_ptr<Session> session() const {
    auto target = open_process(pid_);
    if (!target.ok()) {
      std::fprintf(stderr, "bench_snapshot: %s\n", target.error().message.c_str());
      std::exit(1);
    }
    return std::make_unique<Session>(std::move(target).value());
  }

 private:
  pid_t pid_ = -1;
};

const Sleepers& sleepers(unsigned greenlets) {
  static std::map<unsigned, std::unique_ptr<Sleepers>> children;
  auto& child = children[greenlets];
  if (!child) child = std::make_unique<Sleepers>(greenlets);
  return *child;
}

/// Adds up what the snapshots of one benchmark say of themselves.
class Totals {
 public:
  void add(benchmark::State& state, const Result<Snapshot>& snapshot, std::size_t greenlets) {
    if (!snapshot.ok()) return state.SkipWithError(snapshot.error().message.c_str());
    if (snapshot->greenlets.size() != greenlets + 1) return state.SkipWithError("greenlets are missing");
    read_ += snapshot->stats.read_ns;
    unwind_ += snapshot->stats.unwind_ns;
    name_ += snapshot->stats.symbolize_ns;
    frames_ += snapshot->stats.frames;
    incomplete_ += snapshot->stats.incomplete;
  }
  void report(benchmark::State& state) const {
    const auto each = [](double value) {
      return benchmark::Counter(value, benchmark::Counter::kAvgIterations);
    };
    state.counters["read"] = each(static_cast<double>(read_) / 1e6);
    state.counters["unwind"] = each(static_cast<double>(unwind_) / 1e6);
    state.counters["name"] = each(static_cast<double>(name_) / 1e6);
    state.counters["frames"] = each(static_cast<double>(frames_));
    state.counters["incomplete"] = each(static_cast<double>(incomplete_));
    if (frames_ > 0) state.counters["ns_frame"] = static_cast<double>(unwind_) / static_cast<double>(frames_);
  }

 private:
  std::uint64_t read_ = 0, unwind_ = 0, name_ = 0, frames_ = 0, incomplete_ = 0;
};

SnapshotOptions options_of(bool frames, bool symbols) {
  SnapshotOptions options;
  options.frames = frames;
  options.symbols = symbols;
  return options;
}

void measure(benchmark::State& state, bool frames, bool symbols, bool cold) {
  const auto greenlets = static_cast<unsigned>(state.range(0));
  const Sleepers& child = sleepers(greenlets);
  const SnapshotOptions options = options_of(frames, symbols);
  std::unique_ptr<Session> session = child.session();
  if (!cold) (void)session->take(options);
  Totals totals;
  for (auto _ : state) {
    if (cold) session = child.session();
    totals.add(state, session->take(options), greenlets);
  }
  totals.report(state);
}

void warm(benchmark::State& state) {
  measure(state, true, state.range(1) != 0, false);
}
void cold(benchmark::State& state) {
  measure(state, true, state.range(1) != 0, true);
}
void list(benchmark::State& state) {
  measure(state, false, false, false);
}

BENCHMARK(list)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);
BENCHMARK(warm)->ArgsProduct({{1'000, 10'000, 100'000}, {0, 1}})->Unit(benchmark::kMillisecond);
BENCHMARK(cold)
    ->ArgsProduct({{1'000, 10'000, 100'000}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(3);

}  // namespace

int main(int argc, char** argv) {
  // As gltop does: a heap that is given back after each snapshot costs a page fault for every 4 KB of the
  // next.
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
