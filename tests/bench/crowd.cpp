// A program to be looked at by GDB: crowd COUNT. That many greenlets, asleep at 1 to 16 calls' depth; then it
// sleeps, too.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "coppice/greenlet.hpp"

namespace {

[[gnu::noinline]] int descend(int depth) {
  volatile char room[100] = {};
  if (depth == 0) {
    coppice::main_greenlet().switch_to();
    return room[1];
  }
  return descend(depth - 1) + room[0];
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1'000;
  std::vector<coppice::Greenlet> crowd;
  for (int i = 0; i < count; ++i) {
    crowd.push_back(coppice::spawn([i] { return descend(1 + i % 16); }, "member-" + std::to_string(i)));
    crowd.back().switch_to();
  }
  std::puts("ready");
  std::fflush(stdout);
  pause();
}
