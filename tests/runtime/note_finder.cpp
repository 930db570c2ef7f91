// Finds this process's own greenlets as an inspector would: program headers, note, table, slots. Built
// stripped, static, ... Exits with 0 when a suspended greenlet's name was found that way.
#include <coppice/debug_abi.h>
#include <link.h>

#include <coppice/greenlet.hpp>
#include <cstdio>
#include <cstring>

namespace {

using Table = struct coppice_debug_table;

/// The table that a Coppice note of this module points to, or nullptr.
const Table* find_in_notes(const char* notes, std::size_t bytes) {
  std::size_t at = 0;
  while (at + sizeof(ElfW(Nhdr)) <= bytes) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes + at, sizeof header);
    const char* const name = notes + at + sizeof header;
    const char* const desc = name + (header.n_namesz + 3) / 4 * 4;
    if (header.n_type == COPPICE_NOTE_TYPE && header.n_namesz == sizeof COPPICE_NOTE_NAME &&
        std::memcmp(name, COPPICE_NOTE_NAME, sizeof COPPICE_NOTE_NAME) == 0) {
      std::int64_t distance = 0;
      std::memcpy(&distance, desc, sizeof distance);
      return reinterpret_cast<const Table*>(desc + distance);
    }
    at = static_cast<std::size_t>(desc - notes) + (header.n_descsz + 3) / 4 * 4;
  }
  return nullptr;
}

int visit(dl_phdr_info* info, std::size_t, void* found) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE || segment.p_align > 4) continue;
    const char* const notes = reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr);
    if (const Table* table = find_in_notes(notes, segment.p_memsz)) {
      *static_cast<const Table**>(found) = table;
      return 1;
    }
  }
  return 0;
}

template <class Field>
Field field(const char* slot, std::uint16_t offset) {
  Field value{};
  std::memcpy(&value, slot + offset, sizeof value);
  return value;
}

}  // namespace

int main() {
  const coppice::Greenlet main = coppice::current();
  const coppice::Greenlet g = coppice::spawn([&] { main.switch_to(); }, "the one to find");
  g.switch_to();
  const Table* table = nullptr;
  dl_iterate_phdr(visit, static_cast<void*>(&table));
  if (table == nullptr) return std::puts("no note"), 1;
  if (table->magic != COPPICE_DEBUG_MAGIC) return std::puts("no table where the note points"), 1;
  const auto* const chunks = reinterpret_cast<const std::uint64_t*>(table->greenlets.chunks);
  for (std::uint64_t c = 0; c < table->greenlets.chunk_count; ++c) {
    for (std::uint32_t s = 0; s < table->greenlets.slots_per_chunk; ++s) {
      const char* const slot =
          reinterpret_cast<const char*>(chunks[c]) + std::size_t{s} * table->greenlets.slot_size;
      const char* const name = field<const char*>(slot, table->greenlet.name);
      if (field<std::uint32_t>(slot, table->greenlet.state) == COPPICE_STATE_SUSPENDED && name != nullptr &&
          std::strcmp(name, "the one to find") == 0) {
        return std::puts("found"), 0;
      }
    }
  }
  return std::puts("no such greenlet"), 1;
}
