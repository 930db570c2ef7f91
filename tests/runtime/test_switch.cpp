// Switching: values in and out, order, depth, slices that are whole, partly or not at all in the heap.
#include <coppice/greenlet.hpp>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

using coppice::Greenlet;
using coppice::spawn;

TEST_CASE("values travel in both directions") {
  Greenlet g = spawn([](std::any first) -> std::any {
    CHECK(std::any_cast<int>(first) == 1);
    std::any second = coppice::current().parent().switch_to(std::string("hello"));
    CHECK(std::any_cast<int>(second) == 2);
    return 3.5;
  });
  CHECK_FALSE(g.started());
  std::any hello = g.switch_to(1);
  CHECK(std::any_cast<std::string>(hello) == "hello");
  CHECK(g.active());
  std::any last = g.switch_to(2);
  CHECK(std::any_cast<double>(last) == 3.5);
  CHECK(g.finished());
  CHECK_FALSE(g.active());
}

namespace {

/// Goes down `depth` frames of `size` bytes filled with a pattern, switches away, and checks the pattern on
/// return.
bool deep(int depth, std::size_t size, unsigned char mark, const std::function<void()>& at_bottom) {
  auto* bytes = static_cast<unsigned char*>(__builtin_alloca(size));
  std::memset(bytes, mark, size);
  asm volatile("" : : "r"(bytes) : "memory");
  bool good = true;
  if (depth == 0) {
    at_bottom();
  } else {
    good = deep(depth - 1, size, static_cast<unsigned char>(mark + 1), at_bottom);
  }
  for (std::size_t i = 0; i < size; ++i) good = good && bytes[i] == mark;
  return good;
}

}  // namespace

TEST_CASE("a random web of greenlets keeps every byte of every stack") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr int count = 60;
  std::vector<Greenlet> all;
  const Greenlet main = coppice::current();
  int done = 0;
  bool good = true;
  auto pick = [&]() -> Greenlet {
    std::vector<Greenlet> living;
    for (const Greenlet& g : all) {
      if (!g.finished() && !g.is_current()) living.push_back(g);
    }
    if (living.empty() || random() % 10 == 0) return main;
    return living[random() % living.size()];
  };
  for (int n = 0; n < count; ++n) {
    all.push_back(spawn([&, n] {
      for (int round = 0; round < 20; ++round) {
        const int depth = static_cast<int>(random() % 12);
        const std::size_t size = 16 + random() % 3000;
        good = good && deep(depth, size, static_cast<unsigned char>(n), [&] { pick().switch_to(n); });
      }
      ++done;
    }));
  }
  while (done < count) {
    Greenlet next = pick();
    if (!next.is_current()) next.switch_to();
  }
  CHECK(good);
  CHECK(done == count);
}
