// The control block: everything the runtime knows of one greenlet. debug_table.cpp publishes the offsets of
// its first part; blocks live in pool slots that never move (pool.hpp).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "coppice/debug_abi.h"
#include "coppice/greenlet.hpp"
#include "sanitizers.hpp"
#include "slice_buffer.hpp"
#include "version.hpp"

namespace coppice::internal {
struct ThreadState;
}

struct coppice_greenlet {
  // Published by the debug table.
  coppice::internal::Version version;
  std::uint64_t id = 0;
  std::uint32_t state = COPPICE_STATE_FREE;
  std::uint32_t flags = 0;
  std::atomic<coppice::internal::ThreadState*> thread =
      nullptr;                         ///< cleared, under registry_mutex, when it exits
  coppice_greenlet* parent = nullptr;  ///< counted in the parent's `references`
  std::uintptr_t start = 0;
  std::uintptr_t stop = 0;
  coppice::internal::SliceBuffer slice;  ///< its first two words are the published copy and saved
  char* name = nullptr;                  ///< malloc
  const void* spawn_pc = nullptr;
  std::uint64_t spawner = 0;
  std::uint64_t switches = 0;
  std::uint64_t bytes_saved = 0;
  std::uint64_t bytes_restored = 0;
  std::uint64_t last_switch = 0;
  const char* waiting_kind = nullptr;
  std::uint64_t waiting_value = 0;

  // Private.
  std::atomic<std::uint32_t> references = 0;  ///< handles and children; being current does not count
  bool dying = false;                         ///< queued for, or amid, its end for want of references
  coppice::Function* function = nullptr;      ///< until it starts
  coppice_greenlet* above = nullptr;  ///< on the stack: the next owner upwards that still has bytes there
  coppice_greenlet* thread_previous = nullptr;
  coppice_greenlet* thread_next = nullptr;   ///< all greenlets of a thread; of free slots, the next free one
  coppice_greenlet* next_dropped = nullptr;  ///< in its thread's list of dropped greenlets
  [[no_unique_address]] coppice::internal::Fiber fiber;

  /// Everything as in a slot never used, except the version. The block must be in no list.
  void clear() noexcept;

  bool started() const { return state != COPPICE_STATE_UNSTARTED; }
  bool finished() const { return state == COPPICE_STATE_FINISHED; }
  bool main() const { return (flags & COPPICE_FLAG_MAIN) != 0; }
};
