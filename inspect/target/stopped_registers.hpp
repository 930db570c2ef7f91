// Threads that are on a CPU: they have to be stopped for as long as it takes to copy what they change.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <chrono>
#include <functional>
#include <optional>
#include <span>

#include "inspect/base/result.hpp"

namespace coppice::inspect {

/// One thread that was to be stopped.
struct StoppedThread {
  pid_t tid = 0;
  user_regs_struct registers{};
  /// Why it could not be stopped: `not_stopped` (not within the time given), `not_permitted` (the message
  /// names the tracer when it has one already), `gone`, `io`.
  std::optional<Error> error;
};

/// Stops threads of another process (PTRACE_SEIZE, PTRACE_INTERRUPT), copies their registers, calls
/// `then` and lets them go. One that does not stop within `patience` is reported, and the others
/// still are.
///
/// Guarantees, on every path, a crash or SIGKILL of ours included:
///   - The threads go on afterwards. All of it is done by a short-lived thread of this process; the kernel
///     lets go whatever a tracer still holds when that tracer ends. That is also the only way to take back an
///     interrupt that a thread (in uninterruptible sleep) has not obeyed yet.
///   - No signal is lost: one that happened to arrive just then is delivered when the thread goes on.
///   - No wait(2) is used, so it does not matter who else reaps children here.
/// A stop ends a blocking call like epoll_wait with EINTR, so better leave alone who sleeps.
///
/// `then` is called once, with the threads in the order given and all signals blocked; it must be quick and
/// must not throw. `not_stopped` when the tracer cannot be started.
Result<void> while_stopped(pid_t pid, std::span<const pid_t> tids, std::chrono::milliseconds patience,
                           const std::function<void(std::span<const StoppedThread>)>& then);

/// The same for one thread. Errors as in StoppedThread.
Result<user_regs_struct> copy_registers_stopped(
    pid_t pid, pid_t tid, std::chrono::milliseconds patience,
    const std::function<void(const user_regs_struct&)>& then = {});

}  // namespace coppice::inspect
