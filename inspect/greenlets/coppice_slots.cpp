#include "inspect/greenlets/coppice_slots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "inspect/target/elf_reader.hpp"

namespace coppice::inspect {
namespace {

/// How often the list of chunks is read again when it changed meanwhile: pools grow rarely.
constexpr int growth_retries = 10;

template <class T>
T field(std::span<const std::byte> slot, std::uint16_t offset) {
  T value;
  std::memcpy(&value, slot.data() + offset, sizeof value);
  return value;
}

std::optional<Error> check_chunks(std::span<const Address> sorted, std::uint64_t chunk_size) {
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const bool wraps = sorted[i] > UINT64_MAX - chunk_size;
    if (wraps || (i > 0 && sorted[i] - sorted[i - 1] < chunk_size)) {
      return Error{ErrorCode::corrupt, sorted[i], "chunks of the coppice runtime's pool overlap"};
    }
  }
  return std::nullopt;
}

/// The chunk addresses, sorted. Only where they are and how many there are is taken from the pool as it is
/// now; the sizes of slots and chunks never change.
Result<std::vector<Address>> read_chunk_list(const Memory& memory, const coppice_debug_pool& checked,
                                             Address pool_address, const PoolLimits& limits) {
  const std::uint64_t chunk_size = std::uint64_t{checked.slots_per_chunk} * checked.slot_size;
  const std::uint64_t most = std::min(limits.slots / checked.slots_per_chunk, limits.bytes / chunk_size);
  for (int attempt = 0;; ++attempt) {
    const auto pool = memory.read_value<coppice_debug_pool>(pool_address);
    if (!pool.ok()) return pool.error();
    const std::uint64_t list_size = std::min(pool->chunk_count, most) * sizeof(Address);
    const std::vector<std::byte> list = read_up_to(memory, pool->chunks, list_size, SIZE_MAX);
    const auto version_after = memory.read_value<std::uint64_t>(pool_address);
    const bool steady = pool->version % 2 == 0 && version_after.ok() && *version_after == pool->version;
    // A list that grew is replaced whole, so one that never holds still (a core written just then) is whole
    // too.
    if (!steady && attempt < growth_retries) continue;
    if (pool->chunk_count > most) {
      return Error{ErrorCode::corrupt, pool_address,
                   fmt::format("a pool of the coppice runtime claims {} chunks", pool->chunk_count)};
    }
    if (list.size() < list_size) {
      return Error{ErrorCode::unreadable, pool->chunks + list.size(),
                   "the chunk addresses of the coppice runtime cannot be read"};
    }
    std::vector<Address> chunks(list.size() / sizeof(Address));
    if (!chunks.empty()) std::memcpy(chunks.data(), list.data(), list.size());
    std::ranges::sort(chunks);
    if (auto bad = check_chunks(chunks, chunk_size)) return *std::move(bad);
    return chunks;
  }
}

}  // namespace

GreenletSlot decode(const coppice_debug_greenlet_layout& layout, Address address,
                    std::span<const std::byte> bytes) {
  const auto word = [bytes](std::uint16_t offset) { return field<std::uint64_t>(bytes, offset); };
  GreenletSlot slot;
  slot.address = address;
  slot.version = word(layout.version);
  slot.id = word(layout.id);
  slot.state = field<std::uint32_t>(bytes, layout.state);
  slot.flags = field<std::uint32_t>(bytes, layout.flags);
  slot.thread = word(layout.thread);
  slot.parent = word(layout.parent);
  slot.start = word(layout.start);
  slot.stop = word(layout.stop);
  slot.copy = word(layout.copy);
  slot.saved = word(layout.saved);
  slot.name = word(layout.name);
  slot.spawn_pc = word(layout.spawn_pc);
  slot.spawner = word(layout.spawner);
  slot.switches = word(layout.switches);
  slot.bytes_saved = word(layout.bytes_saved);
  slot.bytes_restored = word(layout.bytes_restored);
  slot.last_switch = word(layout.last_switch);
  slot.waiting_kind = word(layout.waiting_kind);
  slot.waiting_value = word(layout.waiting_value);
  return slot;
}

ThreadSlot decode(const coppice_debug_thread_layout& layout, Address address,
                  std::span<const std::byte> bytes) {
  const auto word = [bytes](std::uint16_t offset) { return field<std::uint64_t>(bytes, offset); };
  ThreadSlot slot;
  slot.address = address;
  slot.tid = field<std::uint32_t>(bytes, layout.tid);
  slot.current = word(layout.current);
  slot.main = word(layout.main);
  slot.stack_low = word(layout.stack_low);
  slot.stack_high = word(layout.stack_high);
  slot.switches = word(layout.switches);
  slot.bytes_copied = word(layout.bytes_copied);
  return slot;
}

Result<PoolCopy> PoolCopy::read(const Memory& memory, const coppice_debug_pool& pool, Address pool_address,
                                const PoolLimits& limits) {
  auto chunks = read_chunk_list(memory, pool, pool_address, limits);
  if (!chunks.ok()) return std::move(chunks).error();
  PoolCopy copy;
  copy.chunks_ = std::move(chunks).value();
  copy.slots_per_chunk_ = pool.slots_per_chunk;
  copy.slot_size_ = pool.slot_size;
  copy.read_chunks(memory);
  return copy;
}

PoolCopy PoolCopy::read_once_more(const Memory& memory) const {
  PoolCopy copy;
  copy.chunks_ = chunks_;
  copy.slots_per_chunk_ = slots_per_chunk_;
  copy.slot_size_ = slot_size_;
  copy.read_chunks(memory);
  return copy;
}

void PoolCopy::read_chunks(const Memory& memory) {
  bytes_ = std::make_unique_for_overwrite<std::byte[]>(chunks_.size() * chunk_size());
  std::vector<ReadRequest> requests;
  requests.reserve(chunks_.size());
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    requests.push_back({chunks_[i], {bytes_.get() + i * chunk_size(), chunk_size()}, 0});
  }
  memory.read_batch(requests);
  unreadable_.reset();
  for (const ReadRequest& request : requests) {
    if (request.got == request.into.size()) continue;
    if (!unreadable_) unreadable_ = request.address + request.got;
    const std::size_t whole = request.got - request.got % slot_size_;
    std::ranges::fill(request.into.subspan(whole), std::byte{});
  }
}

Address PoolCopy::address(std::size_t slot) const noexcept {
  return chunks_[slot / slots_per_chunk_] + slot % slots_per_chunk_ * slot_size_;
}

std::optional<std::size_t> PoolCopy::slot_at(Address address) const noexcept {
  auto after = std::ranges::upper_bound(chunks_, address);
  if (after == chunks_.begin()) return std::nullopt;
  const auto chunk = static_cast<std::size_t>(after - chunks_.begin()) - 1;
  const Address offset = address - chunks_[chunk];
  if (offset >= chunk_size() || offset % slot_size_ != 0) return std::nullopt;
  return chunk * slots_per_chunk_ + static_cast<std::size_t>(offset) / slot_size_;
}

std::span<const std::byte> PoolCopy::bytes(std::size_t slot) const noexcept {
  return {bytes_.get() + slot * slot_size_, slot_size_};
}

std::uint64_t PoolCopy::word(std::size_t slot, std::uint16_t offset) const noexcept {
  return field<std::uint64_t>(bytes(slot), offset);
}

}  // namespace coppice::inspect
