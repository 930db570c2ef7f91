#include "inspect/target/module_finder.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "inspect/target/elf_reader.hpp"

namespace coppice::inspect {

namespace {

constexpr std::uint64_t kPage = 4096;
// Real modules have about ten program headers. Small limits, as a hostile core can begin a module on every
// page.
constexpr std::uint32_t kMostHeaders = 128;
constexpr int kMostPlaces = 4;
constexpr std::uint64_t kLargestModule = std::uint64_t{1} << 40;
constexpr Address kEndOfUserSpace = std::uint64_t{1} << 56;  // five-level page tables

std::uint64_t page_down(std::uint64_t value) {
  return value & ~(kPage - 1);
}
std::uint64_t page_up(std::uint64_t value) {
  return page_down(value + kPage - 1);
}

/// PT_LOADs that could be mapped; nothing when one could not (then the headers are not a module's).
std::optional<std::vector<Segment>> loadable(const ElfHeaders& elf) {
  std::vector<Segment> segments;
  for (const Elf64_Phdr& header : elf.segments) {
    if (header.p_type != PT_LOAD || header.p_memsz == 0) continue;
    if (header.p_filesz > header.p_memsz || header.p_memsz > kLargestModule ||
        header.p_vaddr > UINT64_MAX - header.p_memsz - kPage || header.p_offset > INT64_MAX - kPage) {
      return std::nullopt;
    }
    segments.push_back({header.p_vaddr, header.p_memsz, header.p_offset, header.p_filesz,
                        (header.p_flags & PF_R) != 0, (header.p_flags & PF_W) != 0,
                        (header.p_flags & PF_X) != 0});
  }
  return segments;
}

/// Is this code segment mapped as code, from the same file, where this bias puts it?
bool mapped_as_code(const Segment& segment, std::uint64_t bias, const MappedRange& head,
                    std::span<const MappedRange> ranges) {
  const Address at = page_down(segment.vaddr) + bias;
  const MappedRange* range = range_at(ranges, at);
  if (range == nullptr) return false;
  const Mapping& mapping = range->mapping;
  if (range->permissions_known && !mapping.executable) return false;
  // Code moved to huge pages is anonymous; else it must be the right place of the same file.
  if (mapping.path.empty() && range->permissions_known) return true;
  if (mapping.path != head.mapping.path || !(range->file == head.file)) return false;
  if (mapping.path == "[vdso]") return true;
  const bool in_head = range == &head && page_down(segment.file_offset) != 0;
  return mapping.file_offset + (at - mapping.start) == page_down(segment.file_offset) &&
         (range->permissions_known || !in_head);
}

/// The module whose ELF header is at the start of `head`, if there is one.
std::optional<Module> module_at_head(const MappedRange& head, std::span<const MappedRange> ranges,
                                     const Memory& memory) {
  auto elf = read_elf_headers(memory, head.mapping.start, kMostHeaders);
  if (!elf.ok() || (elf->header.e_type != ET_EXEC && elf->header.e_type != ET_DYN)) return std::nullopt;
  auto segments = loadable(*elf);
  if (!segments || segments->empty()) return std::nullopt;

  // The first page of a small file can be part of several segments: the right one puts the code on code.
  int places = 0;
  for (const Segment& first : *segments) {
    if (page_down(first.file_offset) != 0) continue;
    if (++places > kMostPlaces) break;
    const std::uint64_t bias = head.mapping.start - page_down(first.vaddr);
    Address lowest = UINT64_MAX;
    Address highest = 0;
    bool has_code = false;
    bool fits = true;
    for (const Segment& segment : *segments) {
      const Address start = page_down(segment.vaddr) + bias;
      const Address end = start + (page_up(segment.vaddr + segment.memory_size) - page_down(segment.vaddr));
      fits = fits && start < end && end <= kEndOfUserSpace;
      lowest = std::min(lowest, start);
      highest = std::max(highest, end);
      if (segment.executable) {
        has_code = true;
        fits = fits && mapped_as_code(segment, bias, head, ranges);
      }
    }
    if (!fits || !has_code || highest - lowest > kLargestModule || lowest > head.mapping.start) continue;
    Module module;
    module.start = lowest;
    module.end = highest;
    module.bias = bias;
    module.path = head.mapping.path;
    module.build_id = read_build_id(*elf, {memory, true, bias});
    module.segments = std::move(*segments);
    return module;
  }
  return std::nullopt;
}

}  // namespace

const MappedRange* range_at(std::span<const MappedRange> ranges, Address address) {
  auto after =
      std::ranges::upper_bound(ranges, address, {}, [](const MappedRange& r) { return r.mapping.start; });
  if (after == ranges.begin()) return nullptr;
  const MappedRange& range = *std::prev(after);
  return address < range.mapping.end ? &range : nullptr;
}

std::vector<Module> find_modules(std::span<const MappedRange> ranges, const Memory& memory, Unnamed unnamed) {
  std::vector<Module> modules;
  for (const MappedRange& range : ranges) {
    const Mapping& mapping = range.mapping;
    const bool vdso = mapping.path == "[vdso]";
    const bool special = mapping.path.starts_with('[');
    if (mapping.path.empty() && unnamed == Unnamed::skip) continue;
    if ((special && !vdso) || (mapping.file_offset != 0 && !vdso)) continue;
    if (range.permissions_known && !mapping.readable) continue;
    if (!modules.empty() && mapping.start < modules.back().end && mapping.path == modules.back().path)
      continue;
    auto module = module_at_head(range, ranges, memory);
    if (!module) continue;
    if (!modules.empty() && modules.back().end > module->start) {
      // Headers that claim their neighbour's place: what is really there wins.
      if (module->start <= modules.back().start) continue;
      modules.back().end = module->start;
    }
    modules.push_back(std::move(*module));
  }
  return modules;
}

}  // namespace coppice::inspect
