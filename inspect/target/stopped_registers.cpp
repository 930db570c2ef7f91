#include "inspect/target/stopped_registers.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <cerrno>
#include <latch>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "inspect/base/files.hpp"
#include "inspect/target/proc_files.hpp"

namespace coppice::inspect {

namespace {

using Clock = std::chrono::steady_clock;

/// Blocks all signals of the calling thread; a thread started meanwhile keeps them blocked for its life, so
/// that no handler of the program ever runs on the tracer.
class ScopedSignalsBlocked {
 public:
  ScopedSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~ScopedSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  ScopedSignalsBlocked(const ScopedSignalsBlocked&) = delete;
  ScopedSignalsBlocked& operator=(const ScopedSignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

Error seize_error(pid_t pid, pid_t tid, int error) {
  if (error == ESRCH) return {ErrorCode::gone, 0, fmt::format("thread {} has exited", tid)};
  auto text = read_text_at(AT_FDCWD, fmt::format("/proc/{}/task/{}/status", pid, tid), 64 * 1024);
  const pid_t tracer = text.ok() ? parse_status(*text).tracer : 0;
  if (tracer != 0) {
    return {ErrorCode::not_permitted, 0,
            fmt::format(
                "thread {} is already traced by process {} (a debugger?), so it cannot be stopped for its "
                "registers",
                tid, tracer)};
  }
  return {ErrorCode::not_permitted, 0,
          fmt::format("not permitted to stop thread {} for its registers: {}", tid, errno_text(error))};
}

/// The signal whose delivery the stop interrupted, to be passed on when letting go; 0 for our own interrupt.
long signal_to_deliver(pid_t tid) {
  siginfo_t info{};
  if (ptrace(PTRACE_GETSIGINFO, tid, nullptr, &info) != 0) return 0;
  return info.si_code >> 8 == PTRACE_EVENT_STOP ? 0 : info.si_signo;
}

/// Begins to stop a thread. None: its interrupt is on its way.
std::optional<Error> interrupt(pid_t pid, pid_t tid) {
  if (ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) return seize_error(pid, tid, errno);
  if (ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) != 0) {
    return Error{ErrorCode::gone, 0, fmt::format("thread {} has exited", tid)};
  }
  return std::nullopt;
}

/// Waits until the thread has stopped.
void copy_registers(pid_t pid, StoppedThread& thread, Clock::time_point deadline,
                    std::chrono::milliseconds patience) {
  const pid_t tid = thread.tid;
  // ESRCH: not stopped yet, or gone.
  while (ptrace(PTRACE_GETREGS, tid, nullptr, &thread.registers) != 0) {
    if (errno != ESRCH) {
      thread.error = Error{ErrorCode::io, 0,
                           fmt::format("cannot read registers of thread {}: {}", tid, errno_text(errno))};
      return;
    }
    if (tgkill(pid, tid, 0) != 0) {
      thread.error = Error{ErrorCode::gone, 0, fmt::format("thread {} has exited", tid)};
      return;
    }
    if (Clock::now() >= deadline) {
      thread.error = Error{ErrorCode::not_stopped, 0,
                           fmt::format("thread {} did not stop within {} ms", tid, patience.count())};
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

/// Runs on the tracer thread, which ends behind it: what could not be let go here the kernel then lets go.
/// `stopped`: all that can be stopped is. `done`: it may go on.
void trace(pid_t pid, std::span<StoppedThread> threads, std::chrono::milliseconds patience,
           std::latch& stopped, const std::latch& done) {
  for (StoppedThread& thread : threads) thread.error = interrupt(pid, thread.tid);
  const auto deadline = Clock::now() + patience;
  for (StoppedThread& thread : threads) {
    if (!thread.error) copy_registers(pid, thread, deadline, patience);
  }
  stopped.count_down();
  done.wait();
  for (const StoppedThread& thread : threads) {
    if (!thread.error) ptrace(PTRACE_DETACH, thread.tid, nullptr, signal_to_deliver(thread.tid));
  }
}

}  // namespace

Result<void> while_stopped(pid_t pid, std::span<const pid_t> tids, std::chrono::milliseconds patience,
                           const std::function<void(std::span<const StoppedThread>)>& then) {
  std::vector<StoppedThread> threads(tids.size());
  for (std::size_t i = 0; i < tids.size(); ++i) threads[i].tid = tids[i];
  try {
    const ScopedSignalsBlocked blocked;
    pid_t tracer_tid = 0;
    std::latch stopped(1);
    std::latch done(1);
    std::thread tracer([&] {
      tracer_tid = gettid();
      trace(pid, threads, patience, stopped, done);
    });
    stopped.wait();
    // Here and not on the tracer, where every allocation would be the first of its thread and take long.
    then(threads);
    done.count_down();
    tracer.join();
    // join() returns while the kernel is still taking the tracer apart; only then is everything let go.
    while (tgkill(getpid(), tracer_tid, 0) == 0) sched_yield();
  } catch (const std::system_error& failure) {
    return Error{ErrorCode::not_stopped, 0,
                 fmt::format("cannot start a thread to stop process {}: {}", pid, failure.what())};
  }
  return {};
}

Result<user_regs_struct> copy_registers_stopped(pid_t pid, pid_t tid, std::chrono::milliseconds patience,
                                                const std::function<void(const user_regs_struct&)>& then) {
  StoppedThread copied;
  auto done = while_stopped(pid, {&tid, 1}, patience, [&](std::span<const StoppedThread> threads) {
    copied = threads.front();
    if (!copied.error && then) then(copied.registers);
  });
  if (!done.ok()) return std::move(done).error();
  if (copied.error) return *std::move(copied.error);
  return copied.registers;
}

}  // namespace coppice::inspect
