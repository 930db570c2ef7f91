// The oracle held against another one: backtrace(3), libgcc's unwinder, inside a living child.
#include <alloca.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>

#include "inspect/memory/slice_memory.hpp"
#include "inspect/target/registers_x86_64.hpp"
#include "inspect/target/stopped_registers.hpp"
#include "tests/oracle/libdw/libdw_oracle.hpp"
#include "tests/support/catch.hpp"

namespace coppice::oracle {
namespace {

constexpr std::size_t max_pcs = 512;

/// What the child knows of itself.
struct Report {
  std::size_t count = 0;
  std::array<void*, max_pcs> pcs{};
  void* caller = nullptr;
};

[[gnu::noinline]] void report_and_wait(int pipe) {
  static Report report;
  report.count = static_cast<std::size_t>(backtrace(report.pcs.data(), max_pcs));
  report.caller = __builtin_return_address(0);
  if (write(pipe, &report, sizeof report) != sizeof report) _exit(1);
  for (volatile bool waiting = true; waiting;) pause();
}

/// Frames of several shapes: fixed, variable (alloca, so rbp-based), large.
[[gnu::noinline]] void go_deep(int pipe, int depth, char* outer) {
  char fixed[64];
  std::memset(fixed, depth, sizeof fixed);
  outer[0] = fixed[depth % 64];
  if (depth == 0) {
    report_and_wait(pipe);
  } else if (depth % 3 == 1) {
    char* variable = static_cast<char*>(alloca(static_cast<std::size_t>(depth) * 100));
    go_deep(pipe, depth - 1, variable);
    outer[0] = variable[0];
  } else if (depth % 3 == 2) {
    char large[70'000];
    go_deep(pipe, depth - 1, large);
    outer[0] = large[0];
  } else {
    go_deep(pipe, depth - 1, fixed);
    outer[0] = fixed[1];
  }
}

/// A child that waits at the bottom of a stack it has told of.
class Deep {
 public:
  explicit Deep(int depth) {
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed for its time leaves nothing behind
      char outer[8] = {};
      go_deep(ends[1], depth, outer);
      _exit(outer[0]);
    }
    close(ends[1]);
    const auto got = read(ends[0], &report_, sizeof report_);
    close(ends[0]);
    REQUIRE(got == sizeof report_);
    REQUIRE(comes_to_wait());
  }
  ~Deep() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Deep(const Deep&) = delete;
  Deep& operator=(const Deep&) = delete;

  pid_t pid() const noexcept { return pid_; }
  /// Return addresses from the caller of report_and_wait outward.
  std::vector<inspect::Address> callers() const {
    const auto* const end = report_.pcs.data() + report_.count;
    std::vector<inspect::Address> pcs;
    for (const auto* pc = std::find(report_.pcs.data(), end, report_.caller); pc != end; ++pc)
      pcs.push_back(reinterpret_cast<inspect::Address>(*pc));
    return pcs;
  }

 private:
  /// It has reported; whether it has come to its pause() is for the kernel to say.
  bool comes_to_wait() const {
    const std::string file = "/proc/" + std::to_string(pid_) + "/syscall";
    const std::string waits = std::to_string(SYS_pause) + " ";
    for (int i = 0; i < 5000; ++i) {
      std::string now;
      std::getline(std::ifstream(file), now);
      if (now.starts_with(waits)) return true;
      usleep(1000);
    }
    return false;
  }

  pid_t pid_ = -1;
  Report report_;
};

/// All registers: those that the kernel tells of a waiting thread would not do, pc and sp.
inspect::Registers registers_of(pid_t pid) {
  auto read = inspect::copy_registers_stopped(pid, pid, std::chrono::seconds(10));
  REQUIRE(read.ok());
  return inspect::x86_64::from_kernel(*read);
}

/// The stack of a thread from its sp on, copied; reads outside fail.
inspect::SliceMemory stack_of(const inspect::Target& target, const inspect::Registers& registers) {
  inspect::Slice slice;
  slice.start = registers.sp();
  for (const auto& mapping : target.mappings()) {
    if (mapping.start <= registers.sp() && registers.sp() < mapping.end) slice.stop = mapping.end;
  }
  REQUIRE(slice.stop > slice.start);
  const auto fetched = inspect::SliceMemory::fetch(slice, target.memory());
  REQUIRE(fetched.stack().size() == slice.size());
  return {slice, {fetched.stack().begin(), fetched.stack().end()}, nullptr};
}

}  // namespace

TEST_CASE("libdw and libgcc agree on every frame of a living child") {
  for (const int depth : {0, 1, 30, 90}) {
    const Deep child(depth);
    auto target = inspect::open_process(child.pid());
    REQUIRE(target.ok());
    const auto registers = registers_of(child.pid());
    auto oracle = LibdwOracle::open(**target);
    REQUIRE(oracle.ok());
    CHECK(oracle->missing().empty());
    const auto stack = oracle->unwind(registers, stack_of(**target, registers));
    INFO("depth " << depth << ": " << stack.error);
    CHECK(stack.end == LibdwStack::End::outermost);
    REQUIRE_FALSE(stack.frames.empty());
    CHECK(stack.frames[0].pc == registers.pc());
    CHECK(stack.frames[0].exact);

    const auto callers = child.callers();
    REQUIRE(callers.size() > static_cast<std::size_t>(depth));
    REQUIRE(stack.frames.size() > callers.size());
    const std::size_t inner = stack.frames.size() - callers.size();  // pause, and what waits in it
    for (std::size_t i = 0; i < callers.size(); ++i) {
      CHECK(stack.frames[inner + i].pc == callers[i]);
      CHECK_FALSE(stack.frames[inner + i].exact);
    }
    CHECK(inner <= 3);
  }
}

TEST_CASE("a walk ends where its memory ends, at the frame limit, and where there is no CFI") {
  const Deep child(20);
  auto target = inspect::open_process(child.pid());
  REQUIRE(target.ok());
  auto registers = registers_of(child.pid());
  auto oracle = LibdwOracle::open(**target);
  REQUIRE(oracle.ok());
  const auto whole = stack_of(**target, registers);
  const auto all = oracle->unwind(registers, whole);

  auto slice = whole.slice();
  slice.stop = slice.start + slice.size() / 4;
  const inspect::SliceMemory quarter(slice, {whole.stack().begin(), whole.stack().begin() + slice.size()},
                                     nullptr);
  const auto cut = oracle->unwind(registers, quarter);
  CHECK(cut.end == LibdwStack::End::failed);
  CHECK_FALSE(cut.error.empty());
  REQUIRE(cut.frames.size() < all.frames.size());
  REQUIRE_FALSE(cut.frames.empty());
  for (std::size_t i = 0; i < cut.frames.size(); ++i) CHECK(cut.frames[i].pc == all.frames[i].pc);

  inspect::Registers few;
  few.set(inspect::x86_64::rip, registers.pc());
  few.set(inspect::x86_64::rsp, registers.sp());
  const auto lost = oracle->unwind(few, whole);  // go_deep is found by rbp
  CHECK(lost.end == LibdwStack::End::failed);
  CHECK_FALSE(lost.error.empty());
  CHECK(lost.frames.size() < all.frames.size());

  const auto limited = oracle->unwind(registers, whole, 4);
  CHECK(limited.end == LibdwStack::End::too_deep);
  CHECK(limited.frames.size() == 4);

  registers.set(inspect::x86_64::rip, 0x1000);
  const auto nowhere = oracle->unwind(registers, whole);
  CHECK(nowhere.end == LibdwStack::End::no_cfi);
  CHECK(nowhere.frames.size() == 1);
}

}  // namespace coppice::oracle
