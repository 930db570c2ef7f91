// What a core's program headers and NT_FILE say together: the memory map, and where its bytes are.
#pragma once

#include <elf.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "inspect/memory/core_memory.hpp"
#include "inspect/target/core_notes.hpp"
#include "inspect/target/module_finder.hpp"

namespace coppice::inspect {

struct CoreLayout {
  std::vector<MappedRange> ranges;          ///< sorted, disjoint
  std::vector<CoreMemory::Extent> extents;  ///< bytes the core has, and holes for those it has lost
  bool has_written_memory = false;          ///< private written pages were dumped (the usual filter)
  std::vector<std::string> warnings;
};

/// Lays out a core of `size` bytes. Segments give permissions, NT_FILE gives paths; mappings that only one of
/// both knows are there too (gcore leaves out the segments of mappings it does not dump). Bytes that the
/// segments promise beyond the end of the file become holes, and so does a thread's stack that gcore could
/// not read and wrote as zeros: both with a warning.
CoreLayout lay_out_core(std::span<const Elf64_Phdr> segments, const CoreNotes& notes, const Memory& file,
                        std::uint64_t size);

}  // namespace coppice::inspect
