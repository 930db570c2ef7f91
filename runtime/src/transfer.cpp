#include "transfer.hpp"

#include <new>
#include <utility>

namespace coppice::internal {

namespace {

bool is_exit(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const GreenletExit&) {
    return true;
  } catch (...) {
    return false;
  }
}

void finish_unstarted(coppice_greenlet* block) {
  Function* function = nullptr;
  {
    const Changing changing(block->version);
    function = std::exchange(block->function, nullptr);
    block->above = nullptr;
    block->state = COPPICE_STATE_FINISHED;
  }
  delete function;
}

void run_hook(ThreadState& state, const SwitchEvent& event) {
  struct Inside {
    explicit Inside(bool& flag) : flag_(flag) { flag_ = true; }
    ~Inside() { flag_ = false; }
    bool& flag_;
  } const inside(state.in_hook);
  const auto hook = state.hook;  // it may replace itself
  hook(event);
}

}  // namespace

coppice_greenlet* receiver(ThreadState& state, coppice_greenlet* block) {
  bool passed = false;
  while (block->finished() || (state.transfer.exception && !block->started())) {
    if (!block->finished()) finish_unstarted(block);
    passed = true;
    block = block->parent;
  }
  if (passed && state.transfer.exception && is_exit(state.transfer.exception)) {
    state.transfer = {.value = GreenletExit(), .exception = nullptr};
    return receiver(state, block);
  }
  return block;
}

std::any land_with_care(ThreadState& state) {
  std::any value = std::move(state.transfer.value);
  std::exception_ptr exception;
  if (state.transfer.exception) [[unlikely]]
    exception = std::exchange(state.transfer.exception, nullptr);
  if (state.hook) [[unlikely]] {
    const SwitchEvent event{state.origin->id, state.current->id};
    settle(state);
    run_hook(state, event);
  } else if (unsettled(state)) [[unlikely]] {
    settle(state);
  }
  if (exception) [[unlikely]]
    std::rethrow_exception(std::move(exception));
  return value;
}

[[gnu::cold]] void refuse(ThreadState& state, Outcome outcome) {
  state.transfer = {};
  switch (outcome) {
    case Outcome::off_stack:
      throw GreenletError("greenlets can only be switched on their thread's own stack");
    case Outcome::no_stack:
      throw GreenletError("too little stack is left to start a greenlet");
    default:
      throw std::bad_alloc();
  }
}

std::any hand_over_with_care(ThreadState& state, coppice_greenlet* block) {
  coppice_greenlet* const target = receiver(state, block);
  if (target == state.current) {
    std::any value = std::move(state.transfer.value);
    if (state.transfer.exception) std::rethrow_exception(std::exchange(state.transfer.exception, nullptr));
    return value;
  }
  const Outcome outcome = exchange(state, target);
  if (outcome != Outcome::switched) refuse(state, outcome);
  return land(state);
}

}  // namespace coppice::internal
