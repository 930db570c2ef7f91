// Frames of every shape a compiler makes. Compiled many times: by each compiler, at each -O, with and without
// frame pointers; VARIANT names the build. Each shape calls at_bottom() at its innermost point.
#include <alloca.h>
#include <setjmp.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <stdexcept>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)

extern "C" void at_bottom(const char* variant, const char* shape);
extern "C" void at_signal(const char* variant, const char* shape, const void* context);

namespace {

#define REACHED(shape) at_bottom(TEXT(VARIANT), shape)
#define SHAPE [[gnu::noinline]]

volatile int sink;
volatile int zero;
void keep(const volatile void* p) {
  asm volatile("" : : "r"(p) : "memory");
}

SHAPE int plain(int depth) {
  if (depth == 0)
    REACHED("plain");
  else
    sink = plain(depth - 1);
  return sink + depth;
}

SHAPE int many_registers(int a, int b, int c, int d, int e, int f) {
  int x = a * b + zero, y = c * d + zero, z = e * f + zero, w = a + f + zero, v = b + e + zero,
      u = c - d + zero;
  REACHED("many registers");
  keep(&sink);
  return x + y + z + w + v + u + a + b + c + d + e + f;
}

SHAPE int with_alloca(int size) {
  auto* space = static_cast<char*>(alloca(static_cast<std::size_t>(size)));
  keep(space);
  REACHED("alloca");
  return space[0] + zero;
}

SHAPE int with_vla(int size) {
  char space[size];  // NOLINT
  space[0] = 0;
  keep(space);
  REACHED("variable-length array");
  return space[size / 2 * zero];
}

SHAPE int realigned() {
  alignas(128) char space[256];
  space[0] = 0;
  keep(space);
  REACHED("realigned");
  return space[zero];
}

// Realigned and of variable size: neither rsp nor the realigned pointer leads to the CFA (DRAP).
SHAPE int realigned_alloca(int size) {
  alignas(128) char fixed[256];
  auto* space = static_cast<char*>(alloca(static_cast<std::size_t>(size)));
  fixed[0] = 0;
  keep(fixed);
  keep(space);
  REACHED("realigned with alloca");
  return fixed[zero] + space[zero];
}

SHAPE int realigned_arguments(int a, int b, int c, int d, int e, int f, int on_stack, int also) {
  alignas(64) int space[64];
  space[0] = a + b + c + d + e + f + on_stack;
  keep(space);
  REACHED("realigned with stack arguments");
  return space[zero] + on_stack + also;
}

SHAPE int large() {
  char space[80 * 1024];
  space[0] = 0;
  keep(space);
  REACHED("larger than 64 KB");
  return space[zero];
}

SHAPE int huge() {
  char space[2 * 1024 * 1024];
  space[0] = 0;
  keep(space);
  REACHED("larger than 1 MB");
  return space[zero];
}

[[gnu::noinline, gnu::cold]] void cold_callee() {
  REACHED("cold");
}

SHAPE int with_cold_part(int x) {
  if (__builtin_expect(x == 42, 0)) {
    sink = sink + 1;
    cold_callee();
    sink = sink * 3;
    cold_callee();
  }
  return x + 1;
}

jmp_buf back;
[[noreturn, gnu::noinline]] void never_returns() {
  REACHED("noreturn last call");
  longjmp(back, 1);
}
SHAPE void ends_in_call() {
  never_returns();
}

[[noreturn, gnu::noinline]] void thrower() {
  throw std::runtime_error("shape");
}

SHAPE int in_catch() {
  try {
    thrower();
  } catch (const std::exception&) {
    REACHED("catch handler");
    return 1 + sink;
  }
}

struct OnUnwind {
  ~OnUnwind() { REACHED("destructor while unwinding"); }
};
SHAPE void with_destructor() {
  OnUnwind guard;
  thrower();
}
SHAPE int destructor_runs() {
  try {
    with_destructor();
  } catch (...) {
    return sink;
  }
  return 0;
}

int compare(const void* a, const void* b) {
  static int calls = 0;
  if (++calls % 3 == 1) REACHED("qsort callback");
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}
SHAPE void through_qsort() {
  int values[] = {3, 1, 2, 5, 4};
  std::qsort(values, 5, sizeof values[0], compare);
  sink = values[0];
}

SHAPE int through_function(int x) {
  const std::function<int(int)> inner = [x](int y) {
    REACHED("std::function callback");
    return x + y;
  };
  const std::function<int(int)> outer = [&inner](int y) { return inner(y) + sink; };
  return outer(x);
}

void on_signal(int, siginfo_t*, void* context) {
  REACHED("signal handler");
  at_signal(TEXT(VARIANT), "interrupted by raise", context);
}
SHAPE int through_signal() {
  struct sigaction action{}, before{};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, &before);
  raise(SIGUSR1);
  sigaction(SIGUSR1, &before, nullptr);
  return sink;
}

void on_trap(int, siginfo_t*, void* context) {
  at_signal(TEXT(VARIANT), "interrupted by a fault", context);
}
// Interrupted without a call: the pc in the frame above the handler is exact.
SHAPE int through_trap(int depth) {
  if (depth > 0) return through_trap(depth - 1) + sink;
  struct sigaction action{}, before{};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, &before);
  asm volatile("int3");
  sigaction(SIGTRAP, &before, nullptr);
  return sink;
}

SHAPE void leave_by_longjmp() {
  if (setjmp(back) == 0) ends_in_call();
}

}  // namespace

extern "C" void JOIN(shapes_, VARIANT)() {
  plain(20);
  sink = many_registers(1, 2, 3, 4, 5, 6);
  with_alloca(1000);
  with_alloca(100'000);
  with_vla(3000);
  realigned();
  realigned_alloca(500);
  realigned_arguments(1, 2, 3, 4, 5, 6, 7, 8);
  large();
  huge();
  with_cold_part(42);
  leave_by_longjmp();
  in_catch();
  destructor_runs();
  through_qsort();
  through_function(5);
  through_signal();
  through_trap(3);
}
