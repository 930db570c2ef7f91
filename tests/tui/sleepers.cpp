// A program with greenlets that sleep in known places, and tells which: "ID NAME STATE FUNCTION" each, then
// "ready".
//
// Two greenlets keep switching back and forth meanwhile, so that there are rates, until standard input ends.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/greenlet.hpp"

namespace {

[[gnu::noinline]] void sleep_in_the_shallows() {
  coppice::main_greenlet().switch_to();
  asm volatile("");  // no tail call: the function stays on the stack
}

[[gnu::noinline]] void sleep_in_the_depths(int depth) {
  volatile char ballast[64];
  ballast[0] = 1;
  if (depth > 0) {
    sleep_in_the_depths(depth - 1);
  } else {
    sleep_in_the_shallows();
  }
  ballast[1] = ballast[0];
}

void tell(const coppice::Greenlet& greenlet, const char* state, const char* function) {
  std::printf("%llu %s %s %s\n", static_cast<unsigned long long>(greenlet.id()), greenlet.name().c_str(),
              state, function);
}

bool input_ended() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return ::poll(&input, 1, 1) > 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 20;
  std::vector<coppice::Greenlet> sleepers;
  for (int i = 0; i < count; ++i) {
    const bool deep = i % 2 == 1;
    sleepers.push_back(coppice::spawn(
        [i, deep] {
          const coppice::WaitingOn waiting(deep ? "pearl" : "shell", static_cast<std::uint64_t>(i) + 100);
          if (deep) {
            sleep_in_the_depths(10);
          } else {
            sleep_in_the_shallows();
          }
        },
        "sleeper-" + std::to_string(i)));
    sleepers.back().switch_to();
    tell(sleepers.back(), "suspended", deep ? "sleep_in_the_depths" : "sleep_in_the_shallows");
  }
  const coppice::Greenlet never = coppice::spawn([] {}, "never-started");
  tell(never, "unstarted", "-");
  const coppice::Greenlet busy = coppice::spawn(
      [] {
        for (;;) coppice::main_greenlet().switch_to();
      },
      "busy");
  busy.switch_to();
  tell(busy, "suspended", "-");
  std::puts("ready");
  std::fflush(stdout);
  while (!input_ended()) busy.switch_to();
  std::_Exit(0);
}
