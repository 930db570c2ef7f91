// Registers of live threads, and that nobody is left stopped or woken.
#include "tests/support/catch.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "inspect/base/files.hpp"
#include "inspect/target/proc_files.hpp"
#include "inspect/target/stopped_registers.hpp"
#include "inspect/target/target.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::test;
using namespace std::chrono_literals;

namespace {

ProcStatus status_of(pid_t pid, pid_t tid) {
  auto text = read_text_at(
      AT_FDCWD, "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/status", 65536);
  REQUIRE(text.ok());
  return parse_status(*text);
}

/// Waits (as long as the test may take) until a counter in the target moves.
bool goes_on(const Memory& memory, Address counter) {
  const auto before = memory.read_value<std::uint64_t>(counter);
  for (int i = 0; before.ok() && i < 5000; ++i) {
    if (memory.read_value<std::uint64_t>(counter).value() != *before) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

/// All registers of a thread that is not in a system call. On a busy machine it may not get to its stop
/// within the 50 ms: that is honest, and asked again.
Result<ThreadRegisters> registers_at_last(const Target& target, pid_t tid) {
  for (int i = 0; i < 200; ++i) {
    auto got = target.registers(tid, Stopping::allowed);
    if (got.ok() ? got->complete : got.error().code != ErrorCode::not_stopped) return got;
  }
  return target.registers(tid, Stopping::allowed);
}

/// A child's report says that a thread has been started, not that it has come to where it then stays.
void wait_for_state(pid_t pid, pid_t tid, char state) {
  for (int i = 0; i < 5000 && status_of(pid, tid).state != state; ++i) std::this_thread::sleep_for(1ms);
  REQUIRE(status_of(pid, tid).state == state);
}

/// Starts a process that traces a thread. To be killed and waited for.
pid_t trace_by_another(pid_t pid, pid_t tid) {
  const pid_t tracer = fork();
  if (tracer == 0) {
    ptrace(PTRACE_SEIZE, tid, nullptr, nullptr);
    for (;;) pause();
  }
  for (int i = 0; i < 5000 && status_of(pid, tid).tracer == 0; ++i) std::this_thread::sleep_for(1ms);
  return tracer;
}

}  // namespace

TEST_CASE("a thread on a CPU gives all its registers and goes on") {
  const Child child({SUBJECT, "spin"});
  auto opened = open_process(child.pid());
  REQUIRE(opened.ok());
  const Target& target = **opened;
  const pid_t spinner = static_cast<pid_t>(child.at("spinner"));
  REQUIRE(goes_on(target.memory(), child.at("spins")));

  const auto never = target.registers(spinner, Stopping::never);
  REQUIRE_FALSE(never.ok());
  CHECK(never.error().code == ErrorCode::not_stopped);

  for (int i = 0; i < 50; ++i) {
    const auto got = registers_at_last(target, spinner);
    INFO((got.ok() ? "" : got.error().message));
    REQUIRE(got.ok());
    CHECK(got->complete);
    for (unsigned number = 0; number < x86_64::register_count; ++number) CHECK(got->registers.known(number));
    // spin() is an endless loop: it is there, on its stack, and nowhere else.
    CHECK(got->registers.pc() - child.at("spin") < 64);
    CHECK(child.at("spinner-stack") - got->registers.sp() < 8192);
    CHECK(status_of(child.pid(), spinner).tracer == 0);
  }
  CHECK(goes_on(target.memory(), child.at("spins")));
}

TEST_CASE("a blocked thread gives pc and sp, and its system call is not interrupted") {
  const Child child({SUBJECT, "poller"});
  auto opened = open_process(child.pid());
  REQUIRE(opened.ok());
  const Target& target = **opened;
  const pid_t poller = static_cast<pid_t>(child.at("poller"));
  wait_for_state(child.pid(), poller, 'S');
  for (int i = 0; i < 20; ++i) {
    const auto got = target.registers(poller, Stopping::allowed);
    REQUIRE(got.ok());
    CHECK_FALSE(got->complete);
    CHECK(got->registers.known(x86_64::rip));
    CHECK(got->registers.known(x86_64::rsp));
    CHECK_FALSE(got->registers.known(x86_64::rbp));
    // The pc is behind the syscall instruction, 0f 05.
    const auto code = target.memory().read_value<std::uint16_t>(got->registers.pc() - 2);
    REQUIRE(code.ok());
    CHECK(*code == 0x050f);
  }
  CHECK(target.memory().read_value<std::uint64_t>(child.at("interrupted")).value() == 0);
}

TEST_CASE("a thread that waits for a page is stopped for its registers, and goes on waiting") {
  const Child child({SUBJECT, "faulter", "poller"});
  if (child.at("absent") == 0) {
    WARN("not tried: this machine does not allow userfaultfd(2)");
    return;
  }
  const pid_t faulter = static_cast<pid_t>(child.at("faulter"));
  const pid_t poller = static_cast<pid_t>(child.at("poller"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  for (const pid_t tid : {faulter, poller, child.pid()}) wait_for_state(child.pid(), tid, 'S');

  const auto never = (*target)->registers(faulter, Stopping::never);
  REQUIRE(never.ok());
  CHECK_FALSE(never->complete);
  CHECK(never->registers.pc() - child.at("touch") < 64);

  const auto all = registers_at_last(**target, faulter);
  REQUIRE(all.ok());
  CHECK(all->complete);
  CHECK(all->registers.pc() == never->registers.pc());
  CHECK(all->registers.sp() == never->registers.sp());
  CHECK(all->registers.known(x86_64::rbp));

  Target::StillThreads seen;
  std::vector<Error> errors;
  for (int i = 0; i < 200 && (!errors.empty() || !seen.contains(faulter) || !seen.at(faulter).complete);
       ++i) {
    wait_for_state(child.pid(), faulter, 'S');
    errors = (*target)->while_still([&](const Target::StillThreads& still) { seen = still; });
  }
  CHECK(errors.empty());
  REQUIRE((seen.contains(faulter) && seen.contains(poller)));
  CHECK(seen.at(faulter).complete);
  CHECK(seen.at(faulter).registers.pc() == never->registers.pc());
  CHECK_FALSE(seen.at(poller).complete);
  wait_for_state(child.pid(), faulter, 'S');
  CHECK(status_of(child.pid(), faulter).tracer == 0);
  CHECK((*target)->memory().read_value<std::uint64_t>(child.at("interrupted")).value() == 0);
}

TEST_CASE("a thread that another traces is reported with its tracer") {
  const Child child({SUBJECT, "spin"});
  const pid_t spinner = static_cast<pid_t>(child.at("spinner"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  const pid_t tracer = trace_by_another(child.pid(), spinner);
  const auto got = registers_at_last(**target, spinner);
  REQUIRE_FALSE(got.ok());
  CHECK(got.error().code == ErrorCode::not_permitted);
  CHECK(got.error().message.find(std::to_string(tracer)) != std::string::npos);
  kill(tracer, SIGKILL);
  waitpid(tracer, nullptr, 0);
}

TEST_CASE("nothing moves while a held thread's stack is copied") {
  const Child child({SUBJECT, "spin"});
  const pid_t spinner = static_cast<pid_t>(child.at("spinner"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  std::uint64_t first = 0, last = 1;
  int calls = 0;
  const Target::WhileHeld look = [&](const ThreadRegisters& registers) {
    const auto spins = [&] { return (*target)->memory().read_value<std::uint64_t>(child.at("spins")); };
    const auto before = spins();
    std::this_thread::sleep_for(2ms);
    const auto after = spins();
    calls += registers.complete ? 1 : 0;
    if (before.ok() && after.ok()) first = *before, last = *after;
  };
  auto held = (*target)->hold(spinner, Stopping::allowed, look);
  for (int i = 0; i < 200 && !held.ok() && held.error().code == ErrorCode::not_stopped; ++i) {
    held = (*target)->hold(spinner, Stopping::allowed, look);
  }
  REQUIRE(held.ok());
  CHECK(calls == 1);
  CHECK(first == last);
  CHECK(goes_on((*target)->memory(), child.at("spins")));

  calls = 0;
  wait_for_state(child.pid(), child.pid(), 'S');
  const auto blocked =
      (*target)->hold(child.pid(), Stopping::never, [&](const ThreadRegisters&) { ++calls; });
  CHECK(blocked.ok());
  CHECK(calls >= 1);
}

TEST_CASE("a whole process stands still while it is copied, and goes on") {
  const Child child({SUBJECT, "spin", "poller"});
  const pid_t spinner = static_cast<pid_t>(child.at("spinner"));
  const pid_t poller = static_cast<pid_t>(child.at("poller"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  wait_for_state(child.pid(), poller, 'S');
  wait_for_state(child.pid(), child.pid(), 'S');
  REQUIRE(goes_on((*target)->memory(), child.at("spins")));
  CHECK_FALSE((*target)->stillness());
  std::uint64_t first = 0, last = 1;
  Target::StillThreads seen;
  std::vector<Error> errors{Error{}};
  for (int i = 0; i < 200 && (!errors.empty() || !seen.contains(spinner)); ++i) {
    errors = (*target)->while_still([&](const Target::StillThreads& still) {
      seen = still;
      const auto spins = [&] { return (*target)->memory().read_value<std::uint64_t>(child.at("spins")); };
      const auto before = spins();
      std::this_thread::sleep_for(2ms);
      const auto after = spins();
      if (before.ok() && after.ok()) first = *before, last = *after;
    });
  }
  CHECK(errors.empty());
  CHECK(first == last);
  REQUIRE(seen.contains(spinner));
  REQUIRE(seen.contains(poller));
  CHECK(seen.at(spinner).complete);
  CHECK(seen.at(spinner).registers.pc() - child.at("spin") < 64);
  CHECK_FALSE(seen.at(poller).complete);
  CHECK(goes_on((*target)->memory(), child.at("spins")));
  // Who slept was left alone.
  CHECK((*target)->memory().read_value<std::uint64_t>(child.at("interrupted")).value() == 0);
  CHECK(status_of(child.pid(), poller).tracer == 0);
}

TEST_CASE("a process that sleeps is known to have slept, and is not stopped to be still") {
  const Child child({SUBJECT, "poller"});
  const pid_t poller = static_cast<pid_t>(child.at("poller"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  wait_for_state(child.pid(), poller, 'S');
  wait_for_state(child.pid(), child.pid(), 'S');
  const auto before = (*target)->stillness();
  REQUIRE(before);
  int calls = 0;
  CHECK((*target)
            ->while_still([&](const Target::StillThreads& still) {
              ++calls;
              CHECK(still.contains(poller));
            })
            .empty());
  CHECK(calls == 1);
  CHECK((*target)->stillness() == before);
  CHECK((*target)->memory().read_value<std::uint64_t>(child.at("interrupted")).value() == 0);
}

TEST_CASE("a stopped process is still as it is, and a traced thread that runs is reported") {
  const Child child({SUBJECT, "spin"});
  const pid_t spinner = static_cast<pid_t>(child.at("spinner"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  const pid_t tracer = trace_by_another(child.pid(), spinner);
  std::vector<Error> errors;
  for (int i = 0; i < 200 && errors.empty(); ++i) errors = (*target)->while_still([](const auto&) {});
  REQUIRE_FALSE(errors.empty());
  CHECK(errors.front().message.find(std::to_string(tracer)) != std::string::npos);
  kill(tracer, SIGKILL);
  waitpid(tracer, nullptr, 0);

  kill(child.pid(), SIGSTOP);
  wait_for_state(child.pid(), spinner, 'T');
  wait_for_state(child.pid(), child.pid(), 'T');
  bool seen = false;
  CHECK((*target)
            ->while_still([&](const Target::StillThreads& still) { seen = still.contains(spinner); })
            .empty());
  CHECK(seen);
  CHECK(status_of(child.pid(), spinner).state == 'T');
  CHECK(status_of(child.pid(), spinner).tracer == 0);
}

TEST_CASE("a stopped process gives its registers and stays stopped") {
  const Child child({SUBJECT, "spin"});
  const pid_t spinner = static_cast<pid_t>(child.at("spinner"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  REQUIRE(goes_on((*target)->memory(), child.at("spins")));
  kill(child.pid(), SIGSTOP);
  wait_for_state(child.pid(), spinner, 'T');
  const auto got = (*target)->registers(spinner, Stopping::allowed);
  REQUIRE(got.ok());
  CHECK(got->registers.pc() - child.at("spin") < 64);
  CHECK(status_of(child.pid(), spinner).state == 'T');
}

TEST_CASE("a thread that does not stop in time is let go all the same") {
  // The parent of a vfork sleeps uninterruptibly until its child ends.
  std::array<int, 2> gate{};
  REQUIRE(pipe(gate.data()) == 0);
  const pid_t parent = fork();
  if (parent == 0) {
    close(gate[1]);
    const pid_t grandchild = vfork();  // NOLINT: the point of this test
    if (grandchild == 0) {
      char byte = 0;
      [[maybe_unused]] const auto got = read(gate[0], &byte, 1);
      _exit(0);
    }
    _exit(17);
  }
  close(gate[0]);
  wait_for_state(parent, parent, 'D');
  const auto got = copy_registers_stopped(parent, parent, 20ms);
  REQUIRE_FALSE(got.ok());
  CHECK(got.error().code == ErrorCode::not_stopped);
  CHECK(status_of(parent, parent).tracer == 0);
  close(gate[1]);
  int status = 0;
  REQUIRE(waitpid(parent, &status, 0) == parent);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 17));
}

TEST_CASE("whoever dies while tracing leaves the thread running") {
  const Child child({SUBJECT, "spin"});
  const pid_t spinner = static_cast<pid_t>(child.at("spinner"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  const pid_t tracer = fork();
  if (tracer == 0) {
    ptrace(PTRACE_SEIZE, spinner, nullptr, nullptr);
    ptrace(PTRACE_INTERRUPT, spinner, nullptr, nullptr);
    for (;;) pause();
  }
  wait_for_state(child.pid(), spinner, 't');
  kill(tracer, SIGKILL);
  waitpid(tracer, nullptr, 0);
  CHECK(goes_on((*target)->memory(), child.at("spins")));
  CHECK(status_of(child.pid(), spinner).tracer == 0);
}

TEST_CASE("no signal is lost while registers are copied") {
  // The spinner's process counts SIGUSR1; every one sent must arrive however often it is being stopped.
  const Child child({SUBJECT, "spin", "count-signals"});
  const pid_t spinner = static_cast<pid_t>(child.at("spinner"));
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  const Memory& memory = (*target)->memory();
  for (std::uint64_t sent = 1; sent <= 200; ++sent) {
    std::thread sender([&] { syscall(SYS_tgkill, child.pid(), spinner, SIGUSR1); });
    const auto got = registers_at_last(**target, spinner);
    sender.join();
    REQUIRE(got.ok());
    for (int i = 0; i < 50'000 && memory.read_value<std::uint64_t>(child.at("signals")).value() < sent; ++i) {
      std::this_thread::sleep_for(100us);
    }
    REQUIRE(memory.read_value<std::uint64_t>(child.at("signals")).value() == sent);
  }
}
