// Walks from every instruction: this process single-steps itself (the trap flag) through code that is not
// compiled to be walked: prologues, epilogues, PLT stubs, the dynamic linker's lazy resolver, libc. At each
// instruction the interrupted registers and the stack are walked and compared with libgcc's unwinder.
#include <dlfcn.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "inspect/unwind/unwinder.hpp"
#include "inspect/worker/worker.hpp"
#include "tests/support/catch.hpp"
#include "tests/unwind/capture.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

extern "C" int stepped_by_plt(int);  // steps_lazy.cpp: a library that binds lazily

namespace {

constexpr std::size_t most_steps = 8000;
volatile bool stepping = false;

void on_step(int, siginfo_t*, void* context) {
  if (stepping && captures().size() < most_steps) capture_interrupted("step", context);
}

// The flag is bit 8 of RFLAGS; it holds until cleared, and the kernel clears it while the handler runs.
void set_trap_flag() {
  asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
}
void clear_trap_flag() {
  asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

int compare_ints(const void* a, const void* b) {
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

template <class Code>
void step_through(Code code) {
  captures().clear();
  captures().reserve(most_steps);
  struct sigaction action{};
  action.sa_sigaction = on_step;
  action.sa_flags = SA_SIGINFO;
  struct sigaction before{};
  REQUIRE(::sigaction(SIGTRAP, &action, &before) == 0);
  stepping = true;
  set_trap_flag();
  code();
  clear_trap_flag();
  stepping = false;
  ::sigaction(SIGTRAP, &before, nullptr);
}

}  // namespace

TEST_CASE("from every instruction the walk agrees with libgcc's") {
  Worker worker({.program = COPPICE_WORKER_PROGRAM});
  Unwinder unwinder(worker);
  auto opened = open_process(::getpid());
  REQUIRE(opened.ok());
  Target& target = **opened;

  step_through([] {
    stepped_by_plt(3);  // first call: through the lazy resolver
    stepped_by_plt(4);  // second: straight through the PLT
    int values[] = {3, 1, 2};
    std::qsort(values, 3, sizeof values[0], compare_ints);
    char text[64];
    std::snprintf(text, sizeof text, "%d %s", values[0], "text");
  });
  REQUIRE(captures().size() > 1000);
  std::vector<WalkRequest> requests;
  for (const Capture& capture : captures()) requests.push_back(capture.request());
  const std::vector<Walk> walks = unwinder.walk(target, requests);
  REQUIRE(walks.size() == captures().size());

  std::size_t compared = 0;
  std::map<std::string, std::size_t> instructions_in;
  for (std::size_t i = 0; i < walks.size(); ++i) {
    const Capture& capture = captures()[i];
    const Walk& walk = walks[i];
    Dl_info where{};
    ::dladdr(reinterpret_cast<void*>(capture.registers.pc()), &where);
    const std::string name = where.dli_sname != nullptr ? where.dli_sname : "?";
    INFO("step " << i << " at " << std::hex << capture.registers.pc() << " in " << name << " of "
                 << (where.dli_fname != nullptr ? where.dli_fname : "?") << ", "
                 << (walk.error ? walk.error->message : "no error"));
    REQUIRE_FALSE(walk.frames.empty());
    // Where libgcc itself finds no way through the frame above, there is nothing to compare.
    if (capture.expected.size() < 3) continue;
    CHECK(walk.end == End::base);
    CHECK(walk.frames.size() == capture.expected.size());
    for (std::size_t k = 0; k < std::min(walk.frames.size(), capture.expected.size()); ++k) {
      CHECK(walk.frames[k].pc == capture.expected[k].pc);
      CHECK(walk.frames[k].sp == capture.expected[k].sp);
    }
    ++compared;
    ++instructions_in[name];
  }
  CHECK(compared > walks.size() * 9 / 10);
  CHECK(instructions_in["stepped_by_plt"] > 10);
#if !defined(COPPICE_SANITIZE_ADDRESS)  // it stands in front of these with functions of its own
  CHECK(instructions_in["qsort_r"] > 10);
  CHECK(instructions_in["snprintf"] > 10);
#endif
  WARN(compared << " of " << walks.size() << " steps compared, in " << instructions_in.size()
                << " functions, " << unwinder.stats().rules_learned << " rules, "
                << unwinder.stats().rules_unusable << " unusable");
}
