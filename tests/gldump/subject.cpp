// The program that gldump looks at in tests: greenlets in every state, at places with known names.
//
//   subject N        N workers asleep three calls deep, and one greenlet of every other kind
//   subject busy     beside that a thread whose two greenlets switch to each other without a pause
//
// Reports "name hexadecimal-number" lines and "ready", then ends with its standard input.
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "coppice/greenlet.hpp"

namespace subject {

[[gnu::noinline]] void sleep_innermost(int worker) {
  coppice::waiting_on("test", static_cast<std::uint64_t>(worker));
  coppice::main_greenlet().switch_to();
  asm volatile("" : : : "memory");  // no tail call
}

[[gnu::noinline]] void sleep_in_the_middle(int worker) {
  volatile char frame[600];
  frame[0] = static_cast<char>(worker);
  sleep_innermost(worker);
  asm volatile("" : : "r"(frame) : "memory");
}

inline void inlined_call(int worker) {
  sleep_in_the_middle(worker);
}

[[gnu::noinline]] void work(int worker) {
  inlined_call(worker);
  asm volatile("" : : : "memory");
}

[[gnu::noinline]] void work_elsewhere(int worker) {
  sleep_in_the_middle(worker);
  asm volatile("" : : : "memory");
}

/// Starts another greenlet from within, so that this one stays partly on the stack.
[[gnu::noinline]] void outer(std::vector<coppice::Greenlet>& all) {
  auto inner = coppice::spawn([] { work(1000); }, "inner");
  all.push_back(inner);
  inner.switch_to();
  coppice::main_greenlet().switch_to();
  asm volatile("" : : : "memory");
}

std::atomic<std::uint64_t> rounds = 0;

[[gnu::noinline]] void play_ping_pong() {
  coppice::Greenlet main = coppice::main_greenlet();
  auto ball = coppice::spawn(
      [main] {
        for (;;) main.switch_to();
      },
      "pong");
  for (;; ++rounds) ball.switch_to();
}

}  // namespace subject

int main(int argc, char** argv) {
  const bool busy = argc > 1 && std::strcmp(argv[1], "busy") == 0;
  const int workers = argc > 1 && !busy ? std::atoi(argv[1]) : 4;
  static std::vector<coppice::Greenlet> all;
  for (int i = 0; i < workers; ++i) {
    auto body = [i] { i % 4 == 3 ? subject::work_elsewhere(i) : subject::work(i); };
    all.push_back(coppice::spawn(body, i < 2 ? "worker-" + std::to_string(i) : std::string("worker")));
    all.back().switch_to();
  }
  all.push_back(coppice::spawn([] { subject::outer(all); }, "outer"));
  all.back().switch_to();
  all.push_back(coppice::spawn([] {}, "unborn"));
  all.push_back(coppice::spawn([] {}, "done"));
  all.back().switch_to();
  std::thread([] {
    all.push_back(coppice::spawn([] { subject::work(2000); }, "orphan"));
    all.back().switch_to();
  }).join();
  if (busy) std::thread(subject::play_ping_pong).detach();
  while (busy && subject::rounds < 1000) std::this_thread::yield();

  std::printf("greenlets %zx\n", all.size() + 2);  // and two main greenlets
  std::printf("first %jx\n", static_cast<std::uintmax_t>(all.front().id()));
  std::printf("ready\n");
  std::fflush(stdout);
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}
