// The program that the GDB tests look into: greenlets of several shapes on several threads, stopping where
// everyone is in a known place. It proves at its end that nobody touched a stack: each greenlet sums up what
// its frames hold.
//
//   gdb_zoo [wait]    prints "ready PID" and "result N"; with `wait` it sleeps at the first checkpoint until
//   `go` is set
#include <unistd.h>

#include <any>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "coppice/greenlet.hpp"

extern "C" {
/// Where the tests stop. `number` tells which state the program is in.
[[gnu::noinline]] void zoo_checkpoint(int number) {
  asm volatile("" : : "r"(number) : "memory");
}
[[gnu::noinline]] int zoo_callable(int x) {
  asm volatile("" : "+r"(x));
  return x + 1;
}
volatile int go = 0;
}

namespace {

thread_local volatile int thread_number = 0;
std::uint64_t result = 0;

struct Point {
  int x;
  int y;
  const char* label;
};

[[gnu::noinline]] std::uint64_t pause_here(std::uint64_t value) {
  const std::any back = coppice::current().parent().switch_to(value);
  return value + (back.has_value() ? std::any_cast<int>(back) : 0);
}

[[gnu::noinline]] std::uint64_t descend(int depth, std::uint64_t seed) {
  volatile std::uint64_t mine = seed * 31 + static_cast<std::uint64_t>(depth);
  std::string text = "depth " + std::to_string(depth);
  Point point{depth, -depth, text.c_str()};
  Point* here = &point;
  std::uint64_t sum = 0;
  if (depth == 0) {
    sum = pause_here(mine);
    sum += pause_here(mine + 1);
  } else {
    sum = descend(depth - 1, mine);
  }
  return sum + mine + text.size() + static_cast<std::uint64_t>(here->x - here->y) + std::strlen(here->label);
}

int pausing_compare(const void* a, const void* b) {
  const int left = *static_cast<const int*>(a);
  const int right = *static_cast<const int*>(b);
  if (left == 2 && right == 1) pause_here(7);
  return left - right;
}

[[gnu::noinline]] std::uint64_t sorted() {
  int numbers[4] = {3, 2, 1, 0};
  double weights[2] = {0.5, -2.25};
  qsort(numbers, 4, sizeof numbers[0], pausing_compare);
  const int sum = numbers[3] + static_cast<int>(weights[1] * 4) + 9;
  return static_cast<std::uint64_t>(sum);
}

[[gnu::noinline]] std::uint64_t big_frame(int fill) {
  volatile unsigned char block[70'000];
  for (std::size_t i = 0; i < sizeof block; i += 1'000) block[i] = static_cast<unsigned char>(fill);
  const std::uint64_t got = pause_here(block[69'000]);
  return got + block[0] + block[69'000];
}

std::vector<coppice::Greenlet> build() {
  std::vector<coppice::Greenlet> zoo;
  for (int depth : {1, 5, 12}) {
    zoo.push_back(coppice::spawn([depth]() -> std::any { return descend(depth, 17); },
                                 "deep-" + std::to_string(depth)));
  }
  zoo.push_back(coppice::spawn(
      []() -> std::any {
        coppice::WaitingOn waiting("fd", 5);
        return sorted();
      },
      "sorter"));
  zoo.push_back(coppice::spawn([]() -> std::any { return big_frame(3); }, "big"));
  const std::string captured = "captured";
  zoo.push_back(coppice::spawn(
      [captured]() -> std::any {
        const std::size_t length = captured.size();
        std::vector<int> list{1, 2, 3};
        auto inner = [&](int factor) {
          return pause_here(length * static_cast<std::size_t>(factor)) + list.size();
        };
        return inner(2);
      },
      "lambda"));
  return zoo;
}

/// Switches, from further down, to one that began further up: only the part in its way is saved.
[[gnu::noinline]] std::uint64_t deeper(const coppice::Greenlet& shallow) {
  volatile unsigned char pad[3'000];
  for (auto& byte : pad) byte = 9;
  const std::any sum = shallow.switch_to(1);
  return std::any_cast<std::uint64_t>(sum) + pad[100];
}

/// Starts each one; they come back from where they pause.
void start(std::vector<coppice::Greenlet>& zoo) {
  for (auto& greenlet : zoo) greenlet.switch_to();
}

/// Lets each one finish and adds up what they return.
std::uint64_t drain(std::vector<coppice::Greenlet>& zoo) {
  std::uint64_t sum = 0;
  for (auto& greenlet : zoo) {
    std::any last;
    while (!greenlet.finished()) last = greenlet.switch_to(1);
    sum = sum * 7 + std::any_cast<std::uint64_t>(last);
  }
  return sum;
}

void* other_thread(bool* ready, volatile bool* leave, std::uint64_t* sum) {
  thread_number = 2;
  auto zoo = build();
  start(zoo);
  *ready = true;
  while (!*leave) usleep(1'000);
  *sum = drain(zoo);
  return nullptr;
}

/// Its greenlets outlive it.
void orphaning_thread(std::vector<coppice::Greenlet>* left) {
  thread_number = 3;
  left->push_back(coppice::spawn([]() -> std::any { return descend(3, 99); }, "orphan"));
  start(*left);
}

}  // namespace

int main(int argc, char** argv) {
  thread_number = 1;
  std::uint64_t other_sum = 0;
  bool ready = false;
  volatile bool leave = false;
  std::thread other(other_thread, &ready, &leave, &other_sum);
  while (!*const_cast<volatile bool*>(&ready)) usleep(1'000);
  std::vector<coppice::Greenlet> orphans;
  std::thread(orphaning_thread, &orphans).join();

  auto zoo = build();
  auto unstarted = coppice::spawn([] { return 1; }, "unstarted");
  auto finished = coppice::spawn([] { return 2; }, "finished");
  finished.switch_to();
  start(zoo);
  std::printf("ready %d\n", static_cast<int>(getpid()));
  std::fflush(stdout);
  zoo_checkpoint(1);
  if (argc > 1 && std::strcmp(argv[1], "wait") == 0) {
    while (go == 0) usleep(10'000);
  }

  // Main asleep with nothing saved, two greenlets nested in one another, then one that is partly saved.
  auto outer = coppice::spawn(
      [&]() -> std::any {
        int outer_local = 41;
        auto nested = coppice::spawn(
            [&]() -> std::any {
              volatile int nested_local = 42;
              zoo_checkpoint(2);
              return static_cast<std::uint64_t>(nested_local);
            },
            "nested");
        std::any got = nested.switch_to();
        auto shallow = coppice::spawn(
            []() -> std::any {
              const std::uint64_t sum = pause_here(1);
              zoo_checkpoint(3);
              return sum;
            },
            "shallow");
        shallow.switch_to();
        return std::any_cast<std::uint64_t>(got) + deeper(shallow) + static_cast<std::uint64_t>(outer_local);
      },
      "outer");
  std::vector<coppice::Greenlet> nest{outer};
  result = drain(nest);
  result = result * 7 + drain(zoo);
  leave = true;
  other.join();
  result = result * 7 + other_sum;
  std::printf("result %llu\n", static_cast<unsigned long long>(result));
  return 0;
}
