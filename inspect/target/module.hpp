// An ELF file mapped into the target: executable, shared library or vdso.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/base/result.hpp"

namespace coppice::inspect {

/// One PT_LOAD, in ELF virtual addresses.
struct Segment {
  std::uint64_t vaddr = 0;
  std::uint64_t memory_size = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t file_size = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
};

/// A module as the target runs it. `runtime address = ELF virtual address + bias`.
struct Module {
  Address start = 0;  ///< lowest mapped address
  Address end = 0;    ///< just beyond the highest
  std::uint64_t bias = 0;
  std::string path;      ///< as the target names it, "[vdso]" for the vdso; empty when unknown
  std::string build_id;  ///< lower-case hex of NT_GNU_BUILD_ID, empty when the module has none
  /// The file at `path` is no longer (or, for a core, not on this machine) the mapped one: what is known of
  /// the module's bytes is what memory holds.
  bool deleted = false;
  std::vector<Segment> segments;

  bool contains(Address address) const noexcept { return address >= start && address < end; }
  /// Identity for caches that outlive a target: the build-id with size and hash of .eh_frame; without a
  /// build-id device, inode, mtime and size. Empty until Target::open_image has seen the file.
  std::string identity;
};

}  // namespace coppice::inspect
