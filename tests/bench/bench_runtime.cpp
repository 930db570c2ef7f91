// What a switch costs, beside what it cannot cost less than: the two memcpys it needs.
//
//   switch/BYTES/SHIFT/RECORDER   two greenlets of the same base switch to each other: one slice saved, one
//   restored. SHIFT moves
//                                 the stack, and with it the alignment of stack and heap to each other.
// Counters, in ns and bytes: `slice` what is really copied each way; `memcpys` two plain memcpys of as many
// bytes between the same number of buffers, well aligned, timed in turns with the switches (least of many
// rounds, so that a busy machine shows in neither); `over` the difference; `allowed` the target for it: 15 ns
// or 3 %.
#include <benchmark/benchmark.h>
#include <coppice/debug_abi.h>
#include <coppice/recorder.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <chrono>
#include <coppice/greenlet.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using coppice::current;
using coppice::Greenlet;
using coppice::spawn;

void use(void* memory) {
  asm volatile("" : : "r"(memory) : "memory");
}

double nanoseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::nano>(duration).count();
}

template <class Field>
Field field(const Greenlet& g, std::uint16_t offset) {
  Field value{};
  std::memcpy(&value, reinterpret_cast<const char*>(g.get()) + offset, sizeof value);
  return value;
}

std::uint64_t slice_start(const Greenlet& g) {
  return field<std::uint64_t>(g, coppice_debug_table.greenlet.start);
}

std::uint64_t slice_bytes(const Greenlet& g) {  // of a suspended greenlet
  return field<std::uint64_t>(g, coppice_debug_table.greenlet.stop) - slice_start(g);
}

/// The smallest slice a greenlet can have that only switches.
std::size_t least_slice() {
  static const std::size_t bytes = [] {
    const Greenlet main = current();
    const Greenlet g = spawn([main] {
      for (;;) main.switch_to();
    });
    g.switch_to();
    return slice_bytes(g);
  }();
  return bytes;
}

/// The two memcpys of a switch: between a stack that lies in its page like the real one, and buffers that lie
/// to it as well as possible, in the same place of the cache line and half a page away.
class Copies {
 public:
  Copies(std::size_t bytes, std::uintptr_t stack)
      : bytes_(bytes),
        stack_(make(bytes, stack % page)),
        heap_{make(bytes, (stack + page / 2) % page), make(bytes, (stack + page / 2) % page)} {}

  void switch_once() {
    std::memcpy(heap_[turn_].data, stack_.data, bytes_);
    use(heap_[turn_].data);
    turn_ ^= 1;
    std::memcpy(stack_.data, heap_[turn_].data, bytes_);
    use(stack_.data);
  }

 private:
  static constexpr std::size_t page = 4096;
  struct Buffer {
    std::unique_ptr<std::byte, void (*)(void*)> memory;
    std::byte* data;
  };
  static Buffer make(std::size_t bytes, std::size_t residue) {
    Buffer buffer{
        {static_cast<std::byte*>(std::aligned_alloc(page, (bytes + 2 * page) / page * page)), std::free},
        nullptr};
    buffer.data = buffer.memory.get() + residue;
    std::memset(buffer.data, 1, bytes);
    return buffer;
  }

  std::size_t bytes_;
  Buffer stack_;
  Buffer heap_[2];
  int turn_ = 0;
};

/// Two greenlets with the same base and slices of the same size, which switch to each other when told to.
class Pair {
 public:
  Pair(std::size_t bytes, std::size_t shift) {
    const std::size_t padding = bytes > least_slice() + 32 ? bytes - least_slice() - 32 : 0;
    use(__builtin_alloca(shift + 1));
    first_ = make(second_, padding);
    second_ = make(first_, padding);
    for (const Greenlet* each : {&first_, &second_}) each->switch_to();
  }

  /// Makes `count` switches from one to the other and back.
  void run(std::int64_t count) {
    left_ = count;
    first_.switch_to();
  }

  std::size_t slice() const { return slice_bytes(first_); }
  std::uintptr_t start() const { return slice_start(first_); }

 private:
  Greenlet make(const Greenlet& other, std::size_t padding) {
    return spawn([this, &other, padding, main = current()] {
      if (padding > 0) {
        auto* bytes = static_cast<char*>(__builtin_alloca(padding));
        std::memset(bytes, 1, padding);
        use(bytes);
      }
      main.switch_to();
      for (;;) {
        while (left_ > 0) {
          --left_;
          other.switch_to();
        }
        main.switch_to();
      }
    });
  }

  Greenlet first_, second_;
  std::int64_t left_ = 0;
};

void bench_switch(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  coppice_recorder_set(state.range(2) != 0 ? COPPICE_RECORDER_MEMORY : COPPICE_RECORDER_OFF, nullptr);
  Pair pair(bytes, static_cast<std::size_t>(state.range(1)));
  const std::size_t slice = pair.slice();
  Copies copies(slice, pair.start());
  const std::int64_t batch =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(2'000'000 / (slice + 500)), 20, 1000);
  double least_switch = 1e12;
  double least_copies = 1e12;
  std::int64_t done = 0;
  for (auto _ : state) {
    pair.run(batch);
    done += batch;
  }
  for (int round = 0; round < 300; ++round) {
    const auto start = Clock::now();
    pair.run(batch);
    const auto middle = Clock::now();
    for (std::int64_t i = 0; i < batch; ++i) copies.switch_once();
    const auto end = Clock::now();
    // Getting into the pair and out of it copies as much as one more switch.
    least_switch = std::min(least_switch, nanoseconds(middle - start) / static_cast<double>(batch + 1));
    least_copies = std::min(least_copies, nanoseconds(end - middle) / static_cast<double>(batch));
  }
  coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr);
  state.SetItemsProcessed(done);
  state.counters["slice"] = static_cast<double>(slice);
  state.counters["switch"] = least_switch;
  state.counters["memcpys"] = least_copies;
  state.counters["over"] = least_switch - least_copies;
  state.counters["allowed"] = std::max(15.0, least_copies * 0.03);
}
BENCHMARK(bench_switch)
    ->Name("switch")
    ->ArgNames({"bytes", "shift", "recorder"})
    ->ArgsProduct({{64, 256, 1024, 8192, 65536, 1 << 20}, {0, 16, 1040, 2064}, {0, 1}})
    ->MinTime(0.05);

void bench_fcontext(benchmark::State& state) {
  using boost::context::detail::fcontext_t;
  using boost::context::detail::transfer_t;
  constexpr std::size_t size = 64 * 1024;
  std::vector<char> stack(size);
  fcontext_t other = boost::context::detail::make_fcontext(stack.data() + size, size, [](transfer_t from) {
    for (;;) from = boost::context::detail::jump_fcontext(from.fctx, nullptr);
  });
  for (auto _ : state) other = boost::context::detail::jump_fcontext(other, nullptr).fctx;
  state.SetItemsProcessed(state.iterations() * 2);
}
BENCHMARK(bench_fcontext)->Name("Boost fcontext, there and back")->MinTime(0.05);

void bench_spawn(benchmark::State& state) {
  for (auto _ : state) spawn([] {}).switch_to();
}
BENCHMARK(bench_spawn)->Name("spawn, run and finish")->MinTime(0.05);

/// Starts `count` greenlets that sleep with about `bytes` of stack each.
std::vector<Greenlet> sleepers(std::size_t count, std::size_t bytes) {
  const Greenlet main = current();
  const std::size_t padding = bytes > least_slice() + 32 ? bytes - least_slice() - 32 : 0;
  std::vector<Greenlet> all;
  all.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(spawn([main, padding] {
      if (padding > 0) {
        auto* stack = static_cast<char*>(__builtin_alloca(padding));
        std::memset(stack, 1, padding);
        use(stack);
      }
      for (;;) main.switch_to();
    }));
    all.back().switch_to();
  }
  return all;
}

std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::size_t resident = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t malloced_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// All-in: control block, slice, malloc's headers; without the handle, which is the program's.
void bench_memory(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  constexpr std::size_t count = 10'000;
  for (auto _ : state) {
    malloc_trim(0);
    const auto& pool = coppice_debug_table.greenlets;
    const std::uint64_t chunks = pool.chunk_count;
    const std::size_t malloced = malloced_bytes();
    const std::size_t resident = resident_bytes();
    const std::vector<Greenlet> all = sleepers(count, bytes);
    const std::size_t handles = all.capacity() * sizeof all[0];
    const double slice = static_cast<double>(slice_bytes(all[0]));
    // New chunks of control blocks are among the malloced bytes; count what the greenlets use of chunks, new
    // or not.
    const std::uint64_t added = (pool.chunk_count - chunks) * pool.slots_per_chunk * pool.slot_size;
    const double each =
        static_cast<double>(malloced_bytes() - malloced - handles - added) / count + pool.slot_size;
    state.counters["slice"] = slice;
    state.counters["each"] = each;
    state.counters["each_rss"] = static_cast<double>(resident_bytes() - resident - handles) / count;
    state.counters["allowed"] = slice * 1.25 + 256;
  }
}
BENCHMARK(bench_memory)->Name("memory of 10,000 suspended")->Arg(64)->Arg(1024)->Arg(8192)->Iterations(1);

/// Cold caches: every switch saves nothing of main but restores and saves another of 10,000 slices.
void bench_round_robin(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  constexpr std::size_t count = 10'000;
  coppice_recorder_set(state.range(1) != 0 ? COPPICE_RECORDER_MEMORY : COPPICE_RECORDER_OFF, nullptr);
  const std::vector<Greenlet> all = sleepers(count, bytes);
  const std::size_t slice = slice_bytes(all[0]);
  std::vector<std::vector<std::byte>> heaps(count, std::vector<std::byte>(slice));
  std::vector<std::byte> stack(slice);
  double least_switch = 1e12;
  double least_copies = 1e12;
  for (auto _ : state) {
    const auto start = Clock::now();
    for (const Greenlet& each : all) each.switch_to();
    const auto middle = Clock::now();
    for (std::vector<std::byte>& heap : heaps) {
      std::memcpy(stack.data(), heap.data(), slice);
      use(stack.data());
      std::memcpy(heap.data(), stack.data(), slice);
      use(heap.data());
    }
    const auto end = Clock::now();
    least_switch = std::min(least_switch, nanoseconds(middle - start) / count / 2);
    least_copies = std::min(least_copies, nanoseconds(end - middle) / count / 2);
  }
  coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr);
  state.counters["slice"] = static_cast<double>(slice);
  state.counters["switch"] = least_switch;
  state.counters["memcpy"] = least_copies;
}
BENCHMARK(bench_round_robin)
    ->Name("10,000 round-robin")
    ->ArgNames({"bytes", "recorder"})
    ->ArgsProduct({{64, 1024, 8192}, {0, 1}})
    ->Iterations(30);

}  // namespace

BENCHMARK_MAIN();
