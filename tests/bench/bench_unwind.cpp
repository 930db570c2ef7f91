// bench_unwind: nanoseconds a frame, over 10,000 stacks of 20 frames of which no two are alike: by learned
// rules, warm and cold, beside LLVM libunwind stepping over the very same stacks and libdwfl reading them.
//
// The column `per_frame` is the time a frame takes (15n is 15 nanoseconds).
#include <benchmark/benchmark.h>
#include <elfutils/libdwfl.h>
#include <libunwind.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "inspect/unwind/unwinder.hpp"
#include "inspect/worker/worker.hpp"
#include "tests/bench/stacks.hpp"

namespace {

using namespace coppice::inspect;
using coppice::bench::CopiedStack;

constexpr std::size_t stack_count = 10'000;
constexpr std::size_t frame_count = 20;

const std::vector<CopiedStack>& stacks() {
  return coppice::bench::make_stacks(stack_count, frame_count);
}

const Target& target() {
  static const std::unique_ptr<Target> self = std::move(open_process(::getpid())).value();
  return *self;
}

std::vector<WalkRequest> requests() {
  std::vector<WalkRequest> all;
  for (const CopiedStack& stack : stacks()) all.push_back(stack.request());
  return all;
}

// Every way must have found every frame of every stack, or its time means nothing.
void report(benchmark::State& state, std::size_t frames_a_round) {
  if (frames_a_round != stack_count * frame_count) {
    state.SkipWithError(("found " + std::to_string(frames_a_round) + " frames").c_str());
    return;
  }
  const double frames = static_cast<double>(frames_a_round) * static_cast<double>(state.iterations());
  state.counters["per_frame"] =
      benchmark::Counter(frames, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

std::size_t count_frames(const std::vector<Walk>& walks) {
  std::size_t frames = 0;
  for (const Walk& walk : walks) {
    if (walk.end == End::base) frames += walk.frames.size();
  }
  return frames;
}

void rules_warm(benchmark::State& state) {
  Worker worker;
  Unwinder unwinder(worker);
  const auto all = requests();
  std::size_t frames = count_frames(unwinder.walk(target(), all));
  for (auto _ : state) {
    auto walks = unwinder.walk(target(), all);
    benchmark::DoNotOptimize(walks.data());
  }
  std::set<std::vector<Address>> distinct;
  for (const Walk& walk : unwinder.walk(target(), all)) {
    std::vector<Address> pcs;
    for (const RawFrame& frame : walk.frames) pcs.push_back(frame.pc);
    distinct.insert(pcs);
  }
  state.counters["distinct_stacks"] = static_cast<double>(distinct.size());
  std::size_t bytes = 0;
  for (const WalkRequest& request : all) bytes += request.stack.size();
  state.counters["stack_bytes"] = static_cast<double>(bytes) / static_cast<double>(all.size());
  state.counters["rules"] = static_cast<double>(unwinder.stats().rules_learned);
  report(state, frames);
}
BENCHMARK(rules_warm)->Unit(benchmark::kMillisecond);

// The worker runs already; nothing is known.
void rules_cold(benchmark::State& state) {
  Worker worker;
  const auto all = requests();
  std::size_t frames = 0;
  for (auto _ : state) {
    Unwinder unwinder(worker);
    frames = count_frames(unwinder.walk(target(), all));
  }
  report(state, frames);
}
BENCHMARK(rules_cold)->Unit(benchmark::kMillisecond);

// The first snapshot of a tool: the worker is started too.
void rules_cold_with_start(benchmark::State& state) {
  const auto all = requests();
  std::size_t frames = 0;
  for (auto _ : state) {
    Worker worker;
    Unwinder unwinder(worker);
    frames = count_frames(unwinder.walk(target(), all));
  }
  report(state, frames);
}
BENCHMARK(rules_cold_with_start)->Unit(benchmark::kMillisecond);

// libunwind can only step over stacks that lie where they were made: each is put back first.
void llvm_libunwind(benchmark::State& state) {
  // unw_context_t: rax rbx rcx rdx rdi rsi rbp rsp r8 ... r15 rip.
  constexpr std::array<std::pair<unsigned, unsigned>, 8> words{{{x86_64::rbx, 1},
                                                                {x86_64::rbp, 6},
                                                                {x86_64::rsp, 7},
                                                                {x86_64::r12, 12},
                                                                {x86_64::r13, 13},
                                                                {x86_64::r14, 14},
                                                                {x86_64::r15, 15},
                                                                {x86_64::rip, 16}}};
  std::size_t frames = 0;
  for (auto _ : state) {
    frames = 0;
    for (const CopiedStack& stack : stacks()) {
      std::memcpy(reinterpret_cast<void*>(stack.start), stack.bytes.data(), stack.bytes.size());
      unw_context_t context{};
      for (const auto& [number, word] : words) context.data[word] = stack.registers.get(number);
      unw_cursor_t cursor;
      unw_init_local(&cursor, &context);
      // Not beyond the outermost frame: what called that one has no FDE, and a search in vain would count
      // here.
      std::size_t found = 1;
      while (found < frame_count && unw_step(&cursor) > 0) ++found;
      frames += found;
    }
  }
  report(state, frames);
}
BENCHMARK(llvm_libunwind)->Unit(benchmark::kMillisecond);

// What libdwfl asks for while it unwinds one stack.
struct DwflWalk {
  const CopiedStack* stack = nullptr;
  std::size_t frames = 0;
};

pid_t next_thread(Dwfl*, void* walk, void** thread) {
  if (*thread != nullptr) return 0;
  *thread = walk;  // what set_registers gets
  return ::getpid();
}
bool read_word(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* data) {
  const CopiedStack& stack = *static_cast<DwflWalk*>(data)->stack;
  if (address < stack.start || address + sizeof *result > stack.stop) return false;
  std::memcpy(result, stack.bytes.data() + (address - stack.start), sizeof *result);
  return true;
}
bool set_registers(Dwfl_Thread* thread, void* data) {
  const CopiedStack& stack = *static_cast<DwflWalk*>(data)->stack;
  for (int number = 0; number < x86_64::register_count; ++number) {
    const Dwarf_Word value = stack.registers.get(static_cast<unsigned>(number));
    if (!dwfl_thread_state_registers(thread, number, 1, &value)) return false;
  }
  return true;
}
int count_frame(Dwfl_Frame* frame, void* data) {
  auto& walk = *static_cast<DwflWalk*>(data);
  Dwarf_Addr pc = 0;
  if (!dwfl_frame_pc(frame, &pc, nullptr)) return DWARF_CB_ABORT;
  return ++walk.frames == frame_count ? DWARF_CB_ABORT : DWARF_CB_OK;
}

void libdwfl(benchmark::State& state) {
  static char* debug_path = nullptr;
  static const Dwfl_Callbacks callbacks{dwfl_linux_proc_find_elf, dwfl_standard_find_debuginfo, nullptr,
                                        &debug_path};
  static const Dwfl_Thread_Callbacks thread_callbacks{next_thread,   nullptr, read_word,
                                                      set_registers, nullptr, nullptr};
  const std::unique_ptr<Dwfl, decltype(&dwfl_end)> dwfl(dwfl_begin(&callbacks), &dwfl_end);
  DwflWalk walk;
  if (dwfl_linux_proc_report(dwfl.get(), ::getpid()) != 0 ||
      dwfl_report_end(dwfl.get(), nullptr, nullptr) != 0 ||
      !dwfl_attach_state(dwfl.get(), nullptr, ::getpid(), &thread_callbacks, &walk)) {
    state.SkipWithError(dwfl_errmsg(-1));
    return;
  }
  std::size_t frames = 0;
  for (auto _ : state) {
    frames = 0;
    for (const CopiedStack& stack : stacks()) {
      walk = {&stack, 0};
      dwfl_getthread_frames(dwfl.get(), ::getpid(), count_frame, &walk);
      frames += walk.frames;
    }
  }
  report(state, frames);
}
BENCHMARK(libdwfl)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
