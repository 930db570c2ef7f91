#include "inspect/greenlets/cpython_running.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace coppice::inspect {
namespace {

/// In an epilogue CFI still refers to slots just popped, which the psABI's red zone keeps alive.
constexpr std::uint64_t red_zone = 128;

}  // namespace

RunningGreenletCopier::RunningGreenletCopier(const Target& target, const CpythonGreenlets& what,
                                             const CpythonLimits& limits,
                                             const std::vector<PythonThread>& python)
    : target_(target), memory_(target.memory()), what_(what), limits_(limits), python_(python) {
  if (what.python != nullptr) {
    chain_.emplace(memory_, what.python->layout, limits.python_frames);
  }
}

void RunningGreenletCopier::copy(CopiedGreenlet& copied, const GreenletStates& states,
                                 const Target::StillThreads* still, std::size_t& frames_left) {
  Greenlet& greenlet = copied.greenlet;
  const GreenletThread* thread = states.thread(copied.fields);
  if (thread == nullptr || !thread->stack) {
    greenlet.error = Error{ErrorCode::not_stopped, greenlet.address,
                           "it runs, but the stack of its thread could not be found"};
    return;
  }
  const pid_t tid = thread->stack->tid;
  greenlet.slice.stop = std::min(greenlet.slice.stop, thread->stack->high);
  if (!copied.fields.main) {
    greenlet.base_code = what_.code();
  }
  ThreadRegisters registers;
  if (still != nullptr && still->contains(tid)) {
    registers = still->at(tid);
    copy_held(copied, *thread, registers.registers, frames_left);
  } else if (still != nullptr) {
    greenlet.error = Error{ErrorCode::not_stopped, greenlet.address,
                           fmt::format("thread {}, which runs it, could not be stopped", tid)};
    return;
  } else {
    auto held = target_.hold(tid, Stopping::never, [&](const ThreadRegisters& now) {
      copy_held(copied, *thread, now.registers, frames_left);
    });
    if (!held.ok()) {
      greenlet.error = std::move(held).error();
      return;
    }
    registers = *held;
  }
  greenlet.registers = registers.registers;
  greenlet.exact_pc = true;
  const Address sp = greenlet.registers.sp();
  if (!copied.torn && (sp >= greenlet.slice.stop || sp < thread->stack->low)) {
    greenlet.error = Error{ErrorCode::off_stack, sp,
                           "its thread runs on another stack (a signal handler's, or not of this greenlet)"};
  }
}

/// The thread does not run now. Does it still run this greenlet, and is it not amid a switch away from it? A
/// greenlet that runs has no top frame: it gets one when a switch begins.
void RunningGreenletCopier::copy_held(CopiedGreenlet& copied, const GreenletThread& thread,
                                      const Registers& registers, std::size_t& frames_left) {
  Greenlet& greenlet = copied.greenlet;
  if (thread.state != 0) {
    const auto state = memory_.read_value<GreenletThreadState>(thread.state);
    copied.torn = !state.ok() || state->current != copied.fields.object;
  }
  const auto top_frame = memory_.read_value<Address>(copied.fields.pimpl + what_.layout.top_frame);
  copied.torn |= !top_frame.ok() || *top_frame != 0;
  if (copied.torn) return;
  const Address sp = registers.sp(), stop = greenlet.slice.stop;
  if (!thread.stack || sp >= stop || sp < thread.stack->low) return;
  greenlet.slice.start = sp - std::min(red_zone, sp - thread.stack->low);
  greenlet.stack.resize(std::min(stop - greenlet.slice.start, limits_.stack));
  greenlet.stack.resize(memory_.read_some(greenlet.slice.start, greenlet.stack));
  read_chain(greenlet, thread.stack->tid, frames_left);
}

/// Its frames begin where its thread's PyThreadState says now.
void RunningGreenletCopier::read_chain(Greenlet& greenlet, pid_t tid, std::size_t& frames_left) {
  if (!chain_) return;
  std::optional<PythonThread> running;
  for (PythonThread thread : python_) {
    if (thread.tid != tid) continue;
    read_innermost_frame(memory_, what_.python->layout, thread);
    // In which of several subinterpreters a thread is, is where it runs something.
    if (!running || thread.frame != 0) running = std::move(thread);
  }
  if (!running) return;
  const PythonRequest request = PythonRequest::of_thread(*running, greenlet.slice.start, greenlet.stack);
  chain_->read({&request, 1}, frames_left);
  greenlet.python_chain = std::move(chain_->at(0));
}

}  // namespace coppice::inspect
