// What the runtime knows of one thread. Lives in a pool slot; its first part is published by debug_table.cpp.
#pragma once

#include <any>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "control_block.hpp"
#include "coppice/recorder.h"
#include "version.hpp"

namespace coppice::internal {

class RingStore;

/// The C++ runtime's record of a thread's exceptions, as the Itanium C++ ABI (2.2.2) lays it out.
struct ExceptionGlobals {
  void* caught = nullptr;
  unsigned uncaught = 0;
};

/// What a switch hands over.
struct Transfer {
  std::any value;
  std::exception_ptr exception;  ///< thrown at the other end, instead of the value
};

struct ThreadState {
  // Published by the debug table.
  Version version;
  std::uint32_t tid = 0;
  coppice_greenlet* current = nullptr;
  coppice_greenlet* main = nullptr;
  std::uintptr_t stack_low = 0;
  std::uintptr_t stack_high = 0;
  std::uint64_t switches = 0;
  std::uint64_t bytes_copied = 0;
  coppice_event* ring = nullptr;
  std::uint64_t ring_capacity = 0;
  std::uint64_t ring_written = 0;

  // Private.
  coppice_greenlet* target = nullptr;  ///< of the switch under way
  coppice_greenlet* origin = nullptr;  ///< of the last switch
  ExceptionGlobals* exception_globals = nullptr;
  Transfer transfer;
  coppice_recorder_ring* ring_header = nullptr;
  std::shared_ptr<RingStore> ring_store;
  std::function<void(const SwitchEvent&)> hook;
  bool in_hook = false;
  std::atomic<bool> attention = false;      ///< settle() has something to do after the next switch
  bool ring_outdated = false;               ///< the recorder's mode has changed; under registry_mutex
  coppice_greenlet* dropped = nullptr;      ///< to be ended; under registry_mutex
  coppice_greenlet* greenlets = nullptr;    ///< all that belong to this thread
  coppice_greenlet* free_blocks = nullptr;  ///< a small stock, so that spawning takes no lock
  std::uint32_t free_count = 0;
  ThreadState* next_free = nullptr;
};

/// Guards the pools, the stocks of free slots, every thread's `dropped`, and the clearing of a block's
/// `thread`.
extern std::mutex registry_mutex;

/// This thread's state; nullptr before first use and after the thread's exit. One word of static TLS, so that
/// a shared libcoppice reads it as fast as a static one, and can still be loaded late.
[[gnu::visibility("hidden"),
  gnu::tls_model("initial-exec")]] extern constinit thread_local ThreadState* thread_state_or_null;

/// Makes this thread's state and main greenlet. Throws std::bad_alloc.
ThreadState& make_thread_state();

inline ThreadState& thread_state() {
  ThreadState* state = thread_state_or_null;
  return state != nullptr ? *state : make_thread_state();
}

/// Takes a block for a new greenlet of this thread, its references 0. Throws std::bad_alloc.
coppice_greenlet* take_block(ThreadState& state, std::uint32_t block_state);

/// Makes a block, which nothing refers to any more, free again. `state` may be nullptr (no stock to put it
/// in).
void give_block(ThreadState* state, coppice_greenlet* block) noexcept;

/// Reads the bounds of this thread's stack again.
void find_stack_bounds(ThreadState& state) noexcept;

}  // namespace coppice::internal
