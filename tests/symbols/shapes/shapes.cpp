// Functions of every kind, each with a MARK on a line that the test knows. Compiled in many ways by
// CMakeLists.txt; the `#line`s fix the numbers: mark N stands on line N*100+1.
#include <cstdio>

#include "mark.h"

// Neither inlined nor cloned for its only caller.
#ifdef __clang__
#define OWN_FUNCTION __attribute__((noinline))
#else
#define OWN_FUNCTION __attribute__((noipa))
#endif

// clang-format off
namespace deep {
#line 100 "shapes.cpp"
inline __attribute__((always_inline)) int innermost(int v) {
  MARK(1); return v + 1;
}
#line 110 "shapes.cpp"
inline __attribute__((always_inline)) int middle(int v) {
  return innermost(v) * 2;
}
#line 120 "shapes.cpp"
OWN_FUNCTION int outer(int v) {
  return middle(v) + 3;
}
}  // namespace deep

template <class T>
struct Box {
#line 200 "shapes.cpp"
  OWN_FUNCTION T get(T v) {
    MARK(2); return v + 1;
  }
};

OWN_FUNCTION int lambdas(int v) {
#line 300 "shapes.cpp"
  auto lambda = [](int w) OWN_FUNCTION {
    MARK(3); return w + 1;
  };
  return lambda(v) + lambda(v + 1);
}

#line 400 "shapes.cpp"
extern "C" OWN_FUNCTION int c_function(int v) {
  MARK(4); return v + 1;
}

namespace {
#line 500 "shapes.cpp"
OWN_FUNCTION int hidden(int v) {
  MARK(5); return v + 1;
}
}  // namespace

#line 599 "shapes.cpp"
OWN_FUNCTION int split(int v) {
  if (v == 42) throw v;  // gcc moves this to split(int) [clone .cold]
  MARK(6); return v + 1;
}

namespace {
struct Widget {
#line 900 "shapes.cpp"
  __attribute__((always_inline)) int poke(int v) const {
    MARK(9); return v + 1;
  }
};
}  // namespace

#line 910 "shapes.cpp"
OWN_FUNCTION int poker(int v) {
  return Widget().poke(v);
}

// Waits for the end of its input, so that a test can look at it while it runs.
int main(int argc, char**) {
  const long sum = deep::outer(argc) + Box<long>().get(argc) + lambdas(argc) + c_function(argc) + hidden(argc) +
                   split(argc) + poker(argc);
  std::printf("sum %lx\nready\n", sum);
  std::fflush(stdout);
  while (std::getchar() != EOF) {}
}
