#include "tests/bench/stacks.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <array>
#include <cstring>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>

namespace coppice::bench {
namespace {

using inspect::Address;

std::vector<CopiedStack> stacks;
std::size_t frames_wanted = 0;
std::mt19937 random_order(2026);
Address base = 0;

volatile int sink = 0;

[[gnu::noinline]] void copy_here() {
  ucontext_t context;
  ::getcontext(&context);
  const auto& words = context.uc_mcontext.gregs;
  namespace x = inspect::x86_64;
  constexpr std::array<std::pair<unsigned, int>, 8> saved{{{x::rbx, REG_RBX},
                                                           {x::rbp, REG_RBP},
                                                           {x::r12, REG_R12},
                                                           {x::r13, REG_R13},
                                                           {x::r14, REG_R14},
                                                           {x::r15, REG_R15},
                                                           {x::rsp, REG_RSP},
                                                           {x::rip, REG_RIP}}};
  CopiedStack stack;
  for (const auto& [number, index] : saved)
    stack.registers.set(number, static_cast<std::uint64_t>(words[index]));
  stack.start = stack.registers.sp();
  stack.stop = base;
  const auto* from = reinterpret_cast<const std::byte*>(stack.start);
  stack.bytes.assign(from, from + (stack.stop - stack.start));
  stacks.push_back(std::move(stack));
}

void call_next(std::size_t depth);

// Frames as programs have them: this many bytes of locals, and more or fewer registers saved.
template <int Kind>
[[gnu::noinline]] int frame(std::size_t depth) {
  volatile char locals[16 + Kind * 6];
  locals[0] = static_cast<char>(depth);
  int a = sink, b = sink, c = sink, d = sink;
  call_next(depth - 1);
  if constexpr (Kind % 4 > 0) a += sink * b;
  if constexpr (Kind % 4 > 1) b += c * a;
  if constexpr (Kind % 4 > 2) c += d * b;
  return locals[0] + a + b + c + d;
}

template <std::size_t... Kind>
constexpr auto make_frames(std::index_sequence<Kind...>) {
  return std::array<int (*)(std::size_t), sizeof...(Kind)>{&frame<Kind>...};
}
constexpr std::size_t kinds = 32;
constexpr auto all_frames = make_frames(std::make_index_sequence<kinds>());

// Inlined into every frame<Kind>, so that a frame is one call, through a pointer.
[[gnu::always_inline]] inline void call_next(std::size_t depth) {
  if (depth == 0)
    copy_here();
  else
    sink = all_frames[random_order() % kinds](depth);
}

ucontext_t caller;
ucontext_t thread;

// The outermost frame of every stack: its CFA is the base.
[[gnu::noinline]] void run_all() {
  base = reinterpret_cast<Address>(__builtin_dwarf_cfa());
  while (stacks.size() < stacks.capacity()) {
    constexpr std::size_t own_frames = 2;  // copy_here and run_all
    call_next(frames_wanted - own_frames);
  }
  ::swapcontext(&thread, &caller);
}

}  // namespace

const std::vector<CopiedStack>& make_stacks(std::size_t count, std::size_t frames) {
  if (!stacks.empty()) return stacks;
  stacks.reserve(count);
  frames_wanted = frames;
  constexpr std::size_t size = std::size_t{1} << 20;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no memory for a stack");
  ::getcontext(&thread);
  thread.uc_stack.ss_sp = memory;
  thread.uc_stack.ss_size = size;
  thread.uc_link = &caller;
  ::makecontext(&thread, &run_all, 0);
  ::swapcontext(&caller, &thread);
  return stacks;
}

}  // namespace coppice::bench
