#include "outside_reader.hpp"

#include <sys/uio.h>

#include <cstring>

bool OutsideReader::read(std::uint64_t address, void* to, std::size_t bytes) const {
  const iovec local{to, bytes};
  const iovec remote{reinterpret_cast<void*>(address), bytes};
  return process_vm_readv(pid_, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes);
}

std::optional<DebugTable> OutsideReader::table() const {
  for (;;) {
    DebugTable first{};
    DebugTable second{};
    if (!read(table_address_, &first, sizeof first) || !read(table_address_, &second, sizeof second))
      return {};
    const bool even = first.greenlets.version % 2 == 0 && first.threads.version % 2 == 0;
    if (even && first.greenlets.version == second.greenlets.version &&
        first.threads.version == second.threads.version) {
      return first;
    }
  }
}

std::vector<std::uint64_t> OutsideReader::slots(const coppice_debug_pool& pool) const {
  std::vector<std::uint64_t> chunks(pool.chunk_count);
  std::vector<std::uint64_t> result;
  if (!read(pool.chunks, chunks.data(), chunks.size() * sizeof chunks[0])) return result;
  for (const std::uint64_t chunk : chunks) {
    for (std::uint32_t n = 0; n < pool.slots_per_chunk; ++n)
      result.push_back(chunk + std::uint64_t{n} * pool.slot_size);
  }
  return result;
}

std::optional<OutsideGreenlet> OutsideReader::greenlet(const DebugTable& table, std::uint64_t slot,
                                                       OutsideGreenlet* torn) const {
  std::vector<std::byte> bytes(table.greenlets.slot_size);
  // The version by itself, before anything else: one large read may fetch its bytes in any order.
  std::uint64_t before = 0;
  if (!read(slot + table.greenlet.version, &before, sizeof before) || !read(slot, bytes.data(), bytes.size()))
    return {};
  auto word = [&](std::uint16_t offset) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  };
  const auto& at = table.greenlet;
  OutsideGreenlet g{.version = before,
                    .id = word(at.id),
                    .thread = word(at.thread),
                    .parent = word(at.parent),
                    .start = word(at.start),
                    .stop = word(at.stop),
                    .copy = word(at.copy),
                    .saved = word(at.saved),
                    .name = word(at.name),
                    .spawn_pc = word(at.spawn_pc),
                    .spawner = word(at.spawner),
                    .switches = word(at.switches),
                    .bytes_saved = word(at.bytes_saved),
                    .bytes_restored = word(at.bytes_restored),
                    .last_switch = word(at.last_switch),
                    .waiting_kind = word(at.waiting_kind),
                    .waiting_value = word(at.waiting_value),
                    .state = static_cast<std::uint32_t>(word(at.state)),
                    .flags = static_cast<std::uint32_t>(word(at.flags)),
                    .stack = {}};
  bool whole = g.version % 2 == 0;
  if (whole && g.state == COPPICE_STATE_FREE) return g;
  constexpr std::uint64_t largest = 64 << 20;
  if (g.has_stack() && (g.flags & COPPICE_FLAG_MAIN) == 0 && g.stop > g.start && g.stop - g.start < largest &&
      g.saved <= g.stop - g.start) {
    g.stack.resize(g.stop - g.start);
    whole = (g.saved == 0 || read(g.copy, g.stack.data(), g.saved)) && whole;
    const std::uint64_t rest = g.stop - g.start - g.saved;
    whole = (rest == 0 || read(g.start + g.saved, g.stack.data() + g.saved, rest)) && whole;
  }
  std::uint64_t version = 0;
  if (!read(slot + at.version, &version, sizeof version)) return {};
  if (whole && version == g.version) return g;
  if (torn != nullptr) *torn = std::move(g);
  return {};
}

std::string OutsideReader::text(std::uint64_t address) const {
  std::string result;
  char c = 0;
  while (address != 0 && read(address + result.size(), &c, 1) && c != '\0') result += c;
  return result;
}
