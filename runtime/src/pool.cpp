#include "pool.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>

namespace coppice::internal {

namespace {
/// Chunk arrays have room for a power of two addresses. A full one is replaced by one twice as large, and
/// kept for readers that still hold its address: the word before the new one's first points to it, so that no
/// leak checker complains.
bool full(std::uint64_t count) {
  return (count & (count - 1)) == 0;
}

std::uint64_t* larger_array(std::uint64_t* former, std::uint64_t count) {
  const std::uint64_t room = count == 0 ? 1 : count * 2;
  auto* memory = static_cast<std::uint64_t*>(std::calloc(1 + room, sizeof *former));
  if (memory == nullptr) return nullptr;
  memory[0] = reinterpret_cast<std::uint64_t>(former);
  std::copy_n(former, count, memory + 1);
  return memory + 1;
}

void set(std::uint64_t& field, std::uint64_t value) {
  std::atomic_ref<std::uint64_t>(field).store(value, std::memory_order_release);
}
}  // namespace

std::byte* add_chunk(coppice_debug_pool& pool) noexcept {
  void* chunk = std::calloc(pool.slots_per_chunk, pool.slot_size);
  if (chunk == nullptr) return nullptr;
  auto* chunks = reinterpret_cast<std::uint64_t*>(pool.chunks);
  if (full(pool.chunk_count)) {
    std::uint64_t* const larger = larger_array(chunks, pool.chunk_count);
    if (larger == nullptr) {
      std::free(chunk);
      return nullptr;
    }
    chunks = larger;
  }
  set(pool.version, pool.version + 1);
  std::atomic_thread_fence(std::memory_order_release);
  chunks[pool.chunk_count] = reinterpret_cast<std::uint64_t>(chunk);
  set(pool.chunks, reinterpret_cast<std::uint64_t>(chunks));
  set(pool.chunk_count, pool.chunk_count + 1);
  set(pool.version, pool.version + 1);
  return static_cast<std::byte*>(chunk);
}

}  // namespace coppice::internal
