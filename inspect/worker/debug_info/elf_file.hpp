// The ELF side of debug information: opening files, their links to one another, and where code lies.
//
// Sections and notes: System V gABI chapters 4 and 5. The links: GDB's documentation, "Separate Debug Files"
// (.gnu_debuglink is a NUL-terminated name, padding to four bytes, and a CRC-32 of the whole debug file), and
// dwz(1) (.gnu_debugaltlink is a NUL-terminated name and the build-id of the alternate file).
#pragma once

#include <gelf.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inspect/base/result.hpp"
#include "inspect/worker/symbolize_protocol.hpp"

namespace coppice::inspect {

struct ElfCloser {
  void operator()(Elf* elf) const noexcept { elf_end(elf); }
};
using ElfHandle = std::unique_ptr<Elf, ElfCloser>;

/// An open ELF file. Thread-safety: one thread at a time.
class ElfFile {
 public:
  /// Borrows the descriptor, which must stay open as long. `corrupt` when libelf does not take it for an ELF
  /// object, `io` for the rest.
  static Result<ElfFile> open(int fd);

  Elf* elf() const noexcept { return elf_.get(); }

  DebugLinks links() const;

  /// The first section of that name that has bytes in this file (not SHT_NOBITS), or null.
  Elf_Scn* section(const char* name) const;
  /// The first section of that type (SHT_SYMTAB, ...), or null.
  Elf_Scn* section_of_type(std::uint32_t type) const;

  /// CRC-32 (ISO 3309) of the whole file, as .gnu_debuglink records it. Reads all of it: slow for large
  /// files.
  std::optional<std::uint32_t> crc() const;

  /// The name of a debug section that this libelf cannot decompress (say, zstd with an old libelf), if any.
  std::optional<std::string> undecodable_section() const;

 private:
  int fd_ = -1;
  ElfHandle elf_;
};

/// The executable PT_LOADs of an image. Addresses outside are no code: linkers give discarded functions
/// addresses such as 0 or ~0, which must not shadow real ones.
class CodeRanges {
 public:
  CodeRanges() = default;
  explicit CodeRanges(const ElfFile& image);

  struct Range {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
  };

  /// The range that holds the address, or null.
  const Range* at(std::uint64_t address) const noexcept;

 private:
  std::vector<Range> ranges_;
};

}  // namespace coppice::inspect
