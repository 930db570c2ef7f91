// Registers of a thread that is on a CPU: it has to be stopped for as long as it takes to copy them.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <chrono>
#include <functional>

#include "inspect/base/result.hpp"

namespace coppice::inspect {

/// Stops one thread of another process (PTRACE_SEIZE, PTRACE_INTERRUPT), copies its registers and lets it go.
///
/// Guarantees, on every path, a crash or SIGKILL of ours included:
///   - The thread goes on afterwards. All of it is done by a short-lived thread of this process; the kernel
///   lets
///     go whatever a tracer still holds when that tracer ends. That is also the only way to take back an
///     interrupt that the thread (in uninterruptible sleep) has not obeyed yet.
///   - No signal is lost: one that happened to arrive just then is delivered when the thread goes on.
///   - No wait(2) is used, so it does not matter who else reaps children here.
/// Only ever stop a thread that is running: a stop ends a blocking call like epoll_wait with EINTR.
///
/// `not_stopped` (it did not stop within `patience`), `not_permitted` (the message names the tracer when it
/// has one already), `gone`, `io`.
///
/// `while_stopped`, when given, is called with the registers before the thread is let go, on a thread of its
/// own with all signals blocked; it must be quick and must not throw.
Result<user_regs_struct> copy_registers_stopped(
    pid_t pid, pid_t tid, std::chrono::milliseconds patience,
    const std::function<void(const user_regs_struct&)>& while_stopped = {});

}  // namespace coppice::inspect
