#include "pool.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace coppice::internal {

namespace {
/// Chunk arrays have room for a power of two addresses; a full one is replaced by one twice as large and kept
/// for readers that still hold its address.
bool full(std::uint64_t count) {
  return (count & (count - 1)) == 0;
}

void set(std::uint64_t& field, std::uint64_t value) {
  std::atomic_ref<std::uint64_t>(field).store(value, std::memory_order_release);
}
}  // namespace

std::byte* add_chunk(coppice_debug_pool& pool) noexcept {
  const std::size_t bytes = std::size_t{pool.slots_per_chunk} * pool.slot_size;
  void* chunk = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (chunk == MAP_FAILED) return nullptr;
  auto* chunks = reinterpret_cast<std::uint64_t*>(pool.chunks);
  if (full(pool.chunk_count)) {
    auto* larger = static_cast<std::uint64_t*>(
        std::calloc(pool.chunk_count == 0 ? 1 : pool.chunk_count * 2, sizeof *chunks));
    if (larger == nullptr) {
      munmap(chunk, bytes);
      return nullptr;
    }
    if (pool.chunk_count != 0) std::memcpy(larger, chunks, pool.chunk_count * sizeof *chunks);
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
