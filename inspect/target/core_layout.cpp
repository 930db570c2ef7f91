#include "inspect/target/core_layout.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace coppice::inspect {

namespace {

constexpr Address kEndOfUserSpace = std::uint64_t{1} << 56;
constexpr std::size_t kLook = 64 * 1024;

/// PT_LOADs that make sense, sorted; of overlapping ones the first.
std::vector<Elf64_Phdr> loadable(std::span<const Elf64_Phdr> segments) {
  std::vector<Elf64_Phdr> sorted;
  for (const Elf64_Phdr& segment : segments) {
    // [vsyscall] lies in the kernel's half: its page never belongs to a module or a stack.
    const bool in_user_space = segment.p_vaddr < kEndOfUserSpace && segment.p_memsz <= kEndOfUserSpace;
    if (segment.p_type == PT_LOAD && segment.p_memsz > 0 && in_user_space) sorted.push_back(segment);
  }
  std::ranges::stable_sort(sorted, {}, &Elf64_Phdr::p_vaddr);
  std::vector<Elf64_Phdr> disjoint;
  for (const Elf64_Phdr& segment : sorted) {
    if (!disjoint.empty() && segment.p_vaddr < disjoint.back().p_vaddr + disjoint.back().p_memsz) continue;
    disjoint.push_back(segment);
  }
  return disjoint;
}

/// Cuts both lists at each other's borders: every piece lies in at most one segment and one file mapping.
std::vector<MappedRange> merge(const std::vector<Elf64_Phdr>& segments, const CoreNotes& notes) {
  std::vector<MappedRange> ranges;
  auto segment = segments.begin();
  auto file = notes.files.begin();
  Address at = 0;
  while (segment != segments.end() || file != notes.files.end()) {
    const Address segment_start = segment == segments.end() ? UINT64_MAX : std::max(segment->p_vaddr, at);
    const Address file_start = file == notes.files.end() ? UINT64_MAX : std::max(file->start, at);
    const Address start = std::min(segment_start, file_start);
    const bool in_segment = segment_start == start;
    const bool in_file = file_start == start;
    Address end = in_segment ? segment->p_vaddr + segment->p_memsz : segment_start;
    end = std::min(end, in_file ? file->end : file_start);

    MappedRange range;
    range.mapping.start = start;
    range.mapping.end = end;
    range.permissions_known = in_segment;
    if (in_segment) {
      range.mapping.readable = (segment->p_flags & PF_R) != 0;
      range.mapping.writable = (segment->p_flags & PF_W) != 0;
      range.mapping.executable = (segment->p_flags & PF_X) != 0;
      if (segment->p_vaddr + segment->p_memsz == end) ++segment;
    }
    if (in_file) {
      range.mapping.file_offset = file->file_offset + (start - file->start);
      range.mapping.path = file->path;
      if (file->end == end) ++file;
    }
    ranges.push_back(std::move(range));
    at = end;
  }
  return ranges;
}

void name_vdso(std::vector<MappedRange>& ranges, Address vdso) {
  for (MappedRange& range : ranges) {
    if (range.mapping.start == vdso && range.mapping.path.empty()) range.mapping.path = "[vdso]";
  }
}

bool all_zero(const Memory& file, std::uint64_t offset, std::uint64_t size) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min<std::uint64_t>(size, kLook)));
  const std::size_t got = file.read_some(offset, bytes);
  return got == bytes.size() && std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

/// A stack holds return addresses from sp on and the thread's descriptor or environment at its end: one that
/// is zero at both places was never read by who wrote the core (gcore of GDB 13 meeting a guard page).
void find_missing_stacks(const CoreNotes& notes, const Memory& file, CoreLayout& layout) {
  std::set<Address> seen;
  for (const CoreThread& thread : notes.threads) {
    const Address sp = thread.registers.sp();
    const auto extent = std::ranges::upper_bound(layout.extents, sp, {}, &CoreMemory::Extent::end);
    if (extent == layout.extents.end() || sp < extent->start || extent->source == nullptr) continue;
    if (!seen.insert(extent->start).second) continue;
    const std::uint64_t size = extent->end - extent->start;
    const std::uint64_t tail = std::min<std::uint64_t>(size, kLook);
    if (!all_zero(file, extent->offset + (sp - extent->start), extent->end - sp)) continue;
    if (!all_zero(file, extent->offset + size - tail, tail)) continue;
    extent->source = nullptr;
    layout.warnings.push_back(fmt::format(
        "the stack of thread {} (0x{:x}-0x{:x}) is missing: the core has only zeros there, as gcore writes "
        "what it could not read",
        thread.tid, extent->start, extent->end));
  }
}

}  // namespace

CoreLayout lay_out_core(std::span<const Elf64_Phdr> segments, const CoreNotes& notes, const Memory& file,
                        std::uint64_t size) {
  CoreLayout layout;
  const std::vector<Elf64_Phdr> loads = loadable(segments);
  std::uint64_t promised = 0;
  for (const Elf64_Phdr& load : loads) {
    const std::uint64_t wanted = std::min(load.p_filesz, load.p_memsz);
    const std::uint64_t left = load.p_offset < size ? size - load.p_offset : 0;
    const std::uint64_t there = std::min(wanted, left);
    const Address start = load.p_vaddr;
    if (there > 0) layout.extents.push_back({start, start + there, &file, load.p_offset});
    if (there < wanted) layout.extents.push_back({start + there, start + wanted, nullptr, 0});
    if (there < wanted && load.p_offset <= UINT64_MAX - wanted) {
      promised = std::max(promised, load.p_offset + wanted);
    }
  }
  if (promised > size) {
    layout.warnings.push_back(
        fmt::format("the core is cut short: it ends at offset 0x{:x} and should have 0x{:x} bytes; "
                    "what is missing cannot be read",
                    size, promised));
  }
  layout.ranges = merge(loads, notes);
  name_vdso(layout.ranges, notes.auxiliary_value(AT_SYSINFO_EHDR));
  for (const MappedRange& range : layout.ranges) {
    const Mapping& mapping = range.mapping;
    if (!mapping.writable || !mapping.path.empty()) continue;
    const auto extent = std::ranges::upper_bound(layout.extents, mapping.start, {}, &CoreMemory::Extent::end);
    layout.has_written_memory |= extent != layout.extents.end() && extent->start <= mapping.start;
  }
  find_missing_stacks(notes, file, layout);
  return layout;
}

}  // namespace coppice::inspect
