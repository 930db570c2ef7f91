#include "thread_state.hpp"

#include <cxxabi.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <new>

#include "debug_table.hpp"
#include "lifetime.hpp"
#include "pool.hpp"
#include "recorder.hpp"

namespace coppice::internal {

constinit std::mutex registry_mutex;
constinit thread_local ThreadState* thread_state_or_null = nullptr;

namespace {

// All under registry_mutex.
coppice_greenlet* free_blocks = nullptr;  // linked by thread_next
ThreadState* free_states = nullptr;       // linked by next_free

std::atomic<std::uint64_t> last_id = 0;

constexpr std::uint32_t stock = 32;  // blocks a thread takes from or gives to the common list at once

/// Puts a block on a list of free ones. Zeroed slots of a new chunk and used blocks look alike but for the
/// version.
void push_free(coppice_greenlet*& list, coppice_greenlet* block) {
  block->thread_next = list;
  list = block;
}

coppice_greenlet* pop_free(coppice_greenlet*& list) {
  coppice_greenlet* block = list;
  if (block != nullptr) list = block->thread_next;
  return block;
}

void refill(ThreadState& state) {
  const std::scoped_lock lock(registry_mutex);
  if (free_blocks == nullptr) {
    auto& pool = coppice_debug_table.greenlets;
    std::byte* chunk = add_chunk(pool);
    if (chunk == nullptr) throw std::bad_alloc();
    for (std::uint32_t slot = pool.slots_per_chunk; slot-- > 0;) {
      push_free(free_blocks, new (chunk + std::size_t{slot} * pool.slot_size) coppice_greenlet);
    }
    note_clocks();
  }
  while (state.free_count < stock && free_blocks != nullptr) {
    push_free(state.free_blocks, pop_free(free_blocks));
    ++state.free_count;
  }
}

ThreadState* take_state() {
  const std::scoped_lock lock(registry_mutex);
  if (free_states == nullptr) {
    auto& pool = coppice_debug_table.threads;
    std::byte* chunk = add_chunk(pool);
    if (chunk == nullptr) throw std::bad_alloc();
    for (std::uint32_t slot = pool.slots_per_chunk; slot-- > 0;) {
      auto* state = new (chunk + std::size_t{slot} * pool.slot_size) ThreadState;
      state->next_free = free_states;
      free_states = state;
    }
  }
  note_clocks();
  ThreadState* state = free_states;
  free_states = state->next_free;
  return state;
}

/// Frees the slot of a thread that is gone, and its stock of blocks.
void give_state(ThreadState& state) noexcept {
  const std::scoped_lock lock(registry_mutex);
  while (coppice_greenlet* block = pop_free(state.free_blocks)) push_free(free_blocks, block);
  state.free_count = 0;
  {
    const Changing changing(state.version);
    state.tid = 0;
    state.current = state.main = nullptr;
    state.stack_low = state.stack_high = 0;
    state.switches = state.bytes_copied = 0;
    detach_ring(state);
  }
  state.attention.store(false, std::memory_order_relaxed);
  state.target = state.origin = nullptr;
  state.hook = nullptr;
  state.next_free = free_states;
  free_states = &state;
}

extern "C" void coppice_thread_exit(void* pointer) {
  auto& state = *static_cast<ThreadState*>(pointer);
  abandon_greenlets(state);
  thread_state_or_null = nullptr;
  give_state(state);
}

// fork(): the child has this thread only, and must be able to take the lock.
extern "C" void coppice_before_fork() {
  registry_mutex.lock();
}
extern "C" void coppice_after_fork_in_parent() {
  registry_mutex.unlock();
}
extern "C" void coppice_after_fork_in_child() {
  ThreadState* const here = thread_state_or_null;
  forget_recorder_file();
  for_each_slot<ThreadState>(coppice_debug_table.threads, [here](ThreadState& state) {
    if (state.tid == 0) return;
    if (state.version.changing()) state.version.end();  // caught in the middle of a switch
    const Changing changing(state.version);
    if (&state == here) {
      state.tid = static_cast<std::uint32_t>(gettid());
      attach_ring(state);
    } else {  // its stack is gone, and so is the chance to free anything it held
      disown_greenlets(state);
      detach_ring(state);
      state.tid = 0;
      state.current = state.main = nullptr;
    }
  });
  registry_mutex.unlock();
}

/// A pthread key and not a thread_local object: its destructor runs after those of all thread_local objects,
/// which may hold greenlets of this thread.
pthread_key_t exit_key() {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    if (pthread_key_create(&made, coppice_thread_exit) != 0) throw std::bad_alloc();
    if (pthread_atfork(coppice_before_fork, coppice_after_fork_in_parent, coppice_after_fork_in_child) != 0) {
      throw std::bad_alloc();
    }
    return made;
  }();
  return key;
}

}  // namespace

void find_stack_bounds(ThreadState& state) noexcept {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* low = nullptr;
  std::size_t size = 0;
  if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
    const Changing changing(state.version);
    state.stack_low = reinterpret_cast<std::uintptr_t>(low);
    state.stack_high = state.stack_low + size;
  }
  pthread_attr_destroy(&attributes);
}

ThreadState& make_thread_state() {
  configure_recorder_once();
  const pthread_key_t key = exit_key();
  ThreadState* state = take_state();
  state->exception_globals = reinterpret_cast<ExceptionGlobals*>(abi::__cxa_get_globals());
  find_stack_bounds(*state);
  coppice_greenlet* main = nullptr;
  try {
    main = take_block(*state, COPPICE_STATE_RUNNING);
  } catch (...) {
    give_state(*state);
    throw;
  }
  {
    const Changing changing(main->version);
    main->flags = COPPICE_FLAG_MAIN;
    main->stop = UINTPTR_MAX;
    main->references = 1;  // the thread's own
    main->fiber.adopt_current();
  }
  {
    const std::scoped_lock lock(registry_mutex);
    const Changing changing(state->version);
    state->tid = static_cast<std::uint32_t>(gettid());
    state->current = state->main = main;
    attach_ring(*state);
  }
  thread_state_or_null = state;
  pthread_setspecific(key, state);
  return *state;
}

coppice_greenlet* take_block(ThreadState& state, std::uint32_t block_state) {
  if (state.free_blocks == nullptr) refill(state);
  coppice_greenlet* block = pop_free(state.free_blocks);
  --state.free_count;
  const Changing changing(block->version);
  block->id = last_id.fetch_add(1, std::memory_order_relaxed) + 1;
  block->state = block_state;
  block->thread.store(&state, std::memory_order_relaxed);
  block->thread_previous = nullptr;
  block->thread_next = state.greenlets;
  if (state.greenlets != nullptr) state.greenlets->thread_previous = block;
  state.greenlets = block;
  return block;
}

void give_block(ThreadState* state, coppice_greenlet* block) noexcept {
  if (ThreadState* owner = block->thread.load(std::memory_order_relaxed)) {
    (block->thread_previous != nullptr ? block->thread_previous->thread_next : owner->greenlets) =
        block->thread_next;
    if (block->thread_next != nullptr) block->thread_next->thread_previous = block->thread_previous;
  }
  {
    const Changing changing(block->version);
    block->clear();
  }
  if (state != nullptr && state->free_count < 2 * stock) {
    push_free(state->free_blocks, block);
    ++state->free_count;
    return;
  }
  const std::scoped_lock lock(registry_mutex);
  push_free(free_blocks, block);
}

}  // namespace coppice::internal
