#include "inspect/greenlets/coppice_table.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "inspect/memory/file_memory.hpp"
#include "inspect/target/elf_reader.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint32_t largest_slot = 4096;
constexpr std::uint64_t largest_chunk = 64U << 20U;
constexpr std::size_t largest_note_segment = 64U << 10U;
/// Everything up to here was there in the first version of the table.
constexpr std::size_t smallest_table = offsetof(DebugTable, padding);
constexpr std::size_t largest_table = 64U << 10U;

Error corrupt(Address address, std::string what) {
  return {ErrorCode::corrupt, address,
          "the debug table of the coppice runtime makes no sense: " + std::move(what)};
}

/// What the notes of one image say.
struct NoteSearch {
  std::optional<Address> table;
  bool complete = false;  ///< all notes could be read: without `table` there is none
};

/// Looks through one image, whose bytes lie where `place` says.
NoteSearch search_notes(const ElfPlace& place, Address header_at, std::uint64_t bias) {
  const auto elf = read_elf_headers(place.memory, header_at);
  if (!elf.ok()) return {};
  NoteSearch search{std::nullopt, true};
  for (const Elf64_Phdr& segment : elf->segments) {
    if (segment.p_type != PT_NOTE || search.table) continue;
    const Address start = place.of(segment);
    const std::uint64_t size = std::min<std::uint64_t>(segment.p_filesz, largest_note_segment);
    const std::uint64_t seen =
        visit_notes(place.memory, start, size, segment.p_align, [&](const ElfNote& note) {
          if (note.name != COPPICE_NOTE_NAME || note.type != COPPICE_NOTE_TYPE) return true;
          const auto distance = place.memory.read_value<std::int64_t>(note.content);
          if (note.size < sizeof(std::int64_t) || !distance.ok()) return true;
          search.table =
              segment.p_vaddr + bias + (note.content - start) + static_cast<std::uint64_t>(*distance);
          return false;
        });
    search.complete = search.complete && seen + sizeof(Elf64_Nhdr) > size;
  }
  return search;
}

std::optional<Error> check_pool(Address table, const coppice_debug_pool& pool, const char* name) {
  if (pool.slot_size == 0 || pool.slot_size > largest_slot || pool.slot_size % 8 != 0) {
    return corrupt(table, fmt::format("slots of {} bytes for {}", pool.slot_size, name));
  }
  if (pool.slots_per_chunk == 0 || std::uint64_t{pool.slots_per_chunk} * pool.slot_size > largest_chunk) {
    return corrupt(table, fmt::format("{} slots in a chunk of {}", pool.slots_per_chunk, name));
  }
  return std::nullopt;
}

/// Both layouts are structs of nothing but 16-bit offsets. A field that this table does not have yet has
/// offset 0 like the version, which is harmless to read.
template <class Layout>
std::optional<Error> check_layout(Address table, const Layout& layout, std::uint32_t slot_size,
                                  const char* name) {
  std::uint16_t offsets[sizeof(Layout) / sizeof(std::uint16_t)];
  std::memcpy(offsets, &layout, sizeof offsets);
  for (std::uint16_t offset : offsets) {
    if (offset + sizeof(std::uint64_t) > slot_size) {
      return corrupt(table, fmt::format("a field of {} at offset {} of {}", name, offset, slot_size));
    }
  }
  return std::nullopt;
}

std::optional<Error> check(const CoppiceTable& table) {
  const DebugTable& fields = table.fields;
  if (auto bad = check_pool(table.address, fields.greenlets, "greenlets")) return bad;
  if (auto bad = check_pool(table.address, fields.threads, "threads")) return bad;
  if (auto bad = check_layout(table.address, fields.greenlet, fields.greenlets.slot_size, "a greenlet"))
    return bad;
  if (auto bad = check_layout(table.address, fields.thread, fields.threads.slot_size, "a thread")) return bad;
  const bool slots_fit =
      std::ranges::all_of(fields.resume_slot, [](std::int16_t slot) { return slot >= -1; });
  if (!slots_fit) return corrupt(table.address, "a register saved below the stack pointer");
  return std::nullopt;
}

}  // namespace

std::optional<Address> find_coppice_table(const Target& target, const Module& module) {
  const NoteSearch in_memory = search_notes({target.memory(), true, module.bias}, module.start, module.bias);
  if (in_memory.table || in_memory.complete || target.kind() == Target::Kind::live) return in_memory.table;
  auto image = target.open_image(module);
  if (!image.ok()) return std::nullopt;
  return search_notes({FileMemory(std::move(image).value())}, 0, module.bias).table;
}

Result<CoppiceTable> read_coppice_table(const Memory& memory, Address address) {
  struct Head {
    std::uint64_t magic;
    std::uint32_t abi_version;
    std::uint32_t table_size;
  };
  const auto head = memory.read_value<Head>(address);
  if (!head.ok()) {
    return Error{head.error().code, head.error().address,
                 "the debug table of the coppice runtime cannot be read"};
  }
  if (head->magic != COPPICE_DEBUG_MAGIC)
    return corrupt(address, fmt::format("its magic is {:#x}", head->magic));
  if (head->abi_version != COPPICE_DEBUG_ABI_VERSION) {
    return Error{
        ErrorCode::unsupported, address,
        fmt::format("the coppice runtime in the target has debug ABI version {}, and this program knows only "
                    "version {}: use the tools that came with that runtime",
                    head->abi_version, COPPICE_DEBUG_ABI_VERSION)};
  }
  if (head->table_size < smallest_table || head->table_size > largest_table) {
    return corrupt(address, fmt::format("its size is {} bytes", head->table_size));
  }
  CoppiceTable table{address, {}};
  const std::size_t size = std::min<std::size_t>(head->table_size, sizeof table.fields);
  constexpr int clock_retries = 3;
  for (int attempt = 0;; ++attempt) {
    auto done = memory.read(address, std::as_writable_bytes(std::span(&table.fields, 1)).first(size));
    if (!done.ok()) return std::move(done).error();
    if (size < sizeof table.fields) break;  // from before clock_version
    const auto version = memory.read_value<std::uint64_t>(address + offsetof(DebugTable, clock_version));
    if (version.ok() && *version == table.fields.clock_version && *version % 2 == 0) break;
    if (attempt < clock_retries) continue;
    table.fields.clock_recent = {};
    table.fields.ticks_per_second = 0;
    break;
  }
  if (table.fields.machine != EM_X86_64) {
    return Error{
        ErrorCode::unsupported, address,
        fmt::format("the coppice runtime in the target is for ELF machine {}, which this program does not "
                    "know",
                    table.fields.machine)};
  }
  if (auto bad = check(table)) return *std::move(bad);
  return table;
}

}  // namespace coppice::inspect
