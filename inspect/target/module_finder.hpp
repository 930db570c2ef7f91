// From a memory map to the ELF files in it.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "inspect/memory/memory.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Which file, whatever its name. Both 0: not known (a core) or no file.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;
};

/// A mapping, and what only some sources know of it.
struct MappedRange {
  Mapping mapping;
  FileId file;
  /// False when `readable`, `writable` and `executable` say nothing (NT_FILE of a core has no permissions).
  bool permissions_known = true;
};

/// What to do with ranges that have no path: in a core without NT_FILE none has one.
enum class Unnamed : std::uint8_t { skip, include };

/// The modules among `ranges` (sorted by start): every ELF image that begins in a mapped file, or in the
/// vdso, and whose code is mapped where its program headers say. A file that is merely being read through
/// mmap is none. Build-ids are read from memory. Modules do not overlap, and come sorted by start.
std::vector<Module> find_modules(std::span<const MappedRange> ranges, const Memory& memory,
                                 Unnamed unnamed = Unnamed::skip);

/// The range that holds an address, or null. `ranges` sorted by start.
const MappedRange* range_at(std::span<const MappedRange> ranges, Address address);

}  // namespace coppice::inspect
