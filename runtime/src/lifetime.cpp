#include "lifetime.hpp"

#include <utility>

#include "recorder.hpp"
#include "switch.hpp"
#include "transfer.hpp"

namespace coppice::internal {

namespace {

void queue_dropped(ThreadState& owner, coppice_greenlet* block) noexcept {  // under registry_mutex
  block->dying = true;
  block->next_dropped = owner.dropped;
  owner.dropped = block;
  owner.attention.store(true, std::memory_order_relaxed);
}

/// Whether the caller is the one to end an unreferenced block; not if it is queued or being ended already.
bool claim(coppice_greenlet* block) noexcept {
  const std::scoped_lock lock(registry_mutex);
  return !std::exchange(block->dying, true);
}

/// Frees a block that nothing refers to. Returns its parent, whose reference is now the caller's to give up.
coppice_greenlet* destroy(ThreadState* state, coppice_greenlet* block) noexcept {
  coppice_greenlet* const parent = block->parent;
  delete std::exchange(block->function, nullptr);  // destructors of the program, which may drop handles
  give_block(state, block);
  return parent;
}

/// Throws GreenletExit into a suspended greenlet, with the current greenlet as its parent meanwhile, so that
/// control comes back here. False when the switch could not be made. A greenlet may also refuse to die.
bool kill(ThreadState& state, coppice_greenlet* block) noexcept {
  coppice_greenlet* const former = block->parent;
  coppice_greenlet* const here = state.current;
  {
    const Changing changing(block->version);
    block->parent = here;
  }
  add_reference(here);
  add_reference(block);
  bool switched = false;
  try {
    state.transfer.exception = std::make_exception_ptr(GreenletExit());
    switched = exchange(state, block) == Outcome::switched;
    if (switched) {
      land(state);
    } else {
      state.transfer = {};
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch): whoever drops a handle has no use for it; documented
  }
  {
    const Changing changing(block->version);
    block->parent = former;
  }
  block->references.fetch_sub(1, std::memory_order_acq_rel);
  release(here);
  return switched;
}

/// Ends a claimed block of this thread, if that can be done now. False: it is queued again, for the next
/// switch.
bool reap(ThreadState& state, coppice_greenlet* block) noexcept {
  if (block->state == COPPICE_STATE_SUSPENDED && !block->main()) {
    if (state.in_hook || !kill(state, block)) {
      const std::scoped_lock lock(registry_mutex);
      queue_dropped(state, block);
      return false;
    }
  }
  const bool unused = block->references.load(std::memory_order_acquire) == 0;
  if (unused && (block->finished() || !block->started())) {
    release(destroy(&state, block));
  } else {
    block->dying = false;
  }
  return true;
}

coppice_greenlet* next_dropped(ThreadState& state) noexcept {
  const std::scoped_lock lock(registry_mutex);
  coppice_greenlet* const block = state.dropped;
  if (block != nullptr) state.dropped = block->next_dropped;
  return block;
}

void reap_dropped(ThreadState& state) noexcept {
  while (coppice_greenlet* block = next_dropped(state)) {
    if (!reap(state, block)) return;
  }
}

void follow_recorder(ThreadState& state) noexcept {
  const std::scoped_lock lock(registry_mutex);
  if (!state.ring_outdated) return;
  const Changing changing(state.version);
  attach_ring(state);
}

/// Gives up one reference. Returns the parent of a block that was destroyed, for the caller to give up too,
/// or nullptr.
coppice_greenlet* drop(coppice_greenlet* block) noexcept {
  std::uint32_t references = block->references.load(std::memory_order_relaxed);
  while (references > 1) {
    if (block->references.compare_exchange_weak(references, references - 1, std::memory_order_acq_rel))
      return nullptr;
  }
  ThreadState* const here = thread_state_or_null;
  if (here != nullptr && block->thread.load(std::memory_order_relaxed) == here) {
    if (block->references.fetch_sub(1, std::memory_order_acq_rel) != 1 || !claim(block)) return nullptr;
    if (block->started() && !block->finished()) {
      reap(*here, block);
      return nullptr;
    }
    return destroy(here, block);
  }
  std::unique_lock lock(registry_mutex);  // so that its thread neither exits nor looks at it meanwhile
  if (block->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return nullptr;
  if (ThreadState* owner = block->thread.load(std::memory_order_relaxed)) {
    if (!block->dying) queue_dropped(*owner, block);
    return nullptr;
  }
  lock.unlock();
  return destroy(here, block);
}

}  // namespace

void release(coppice_greenlet* block) noexcept {
  while (block != nullptr) block = drop(block);
}

void settle(ThreadState& state) noexcept {
  coppice_greenlet* const left = std::exchange(state.origin, state.current);
  if (left->finished()) {
    const Changing changing(left->version);
    left->slice.release();
    left->fiber.destroy();
    left->start = left->stop = 0;
    left->above = nullptr;
  }
  if (left->references.load(std::memory_order_relaxed) == 0 && claim(left)) reap(state, left);
  if (state.attention.exchange(false, std::memory_order_relaxed)) {
    follow_recorder(state);
    reap_dropped(state);
  }
}

coppice_greenlet* disown_greenlets(ThreadState& state) noexcept {
  coppice_greenlet* const first = std::exchange(state.greenlets, nullptr);
  for (coppice_greenlet* block = first; block != nullptr; block = block->thread_next) {
    const bool whole =
        !block->main() && !block->version.changing() && block->start + block->slice.saved() == block->stop;
    if (block->version.changing()) block->version.end();
    const Changing changing(block->version);
    block->thread.store(nullptr, std::memory_order_relaxed);
    if (block->state == COPPICE_STATE_SUSPENDED && whole) {
      block->state = COPPICE_STATE_ORPHANED;
    } else if (block->started()) {
      block->state = COPPICE_STATE_FINISHED;
    }
    add_reference(block);
  }
  state.dropped = nullptr;
  return first;
}

void abandon_greenlets(ThreadState& state) noexcept {
  if (state.current == state.main) reap_dropped(state);
  std::unique_lock lock(registry_mutex);
  coppice_greenlet* block = disown_greenlets(state);
  lock.unlock();
  release(state.main);  // the thread's own reference
  while (block != nullptr) release(std::exchange(block, block->thread_next));
}

}  // namespace coppice::internal
