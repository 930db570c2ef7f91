// The few parts of ELF that finding modules and reading cores need, read with suspicion.
// Layouts: System V ABI, chapters 4 and 5; <elf.h>. Everything else about ELF is libelf's, inside
// coppice-worker.
#pragma once

#include <elf.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// The ELF header and the program headers. Sizes and addresses inside the program headers are unchecked
/// words.
struct ElfHeaders {
  Elf64_Ehdr header{};
  std::vector<Elf64_Phdr> segments;
};

/// Where an image's bytes lie: in a file by their file offsets, or in memory by their addresses plus the
/// bias.
struct ElfPlace {
  const Memory& memory;
  bool loaded = false;
  std::uint64_t bias = 0;  ///< loaded: runtime address = ELF virtual address + bias

  Address of(const Elf64_Phdr& segment) const { return loaded ? segment.p_vaddr + bias : segment.p_offset; }
};

/// Reads the headers of a 64-bit little-endian ELF image that begins at `at`. More than `most_segments`
/// program headers are refused. The extension for 65,535 and more (PN_XNUM) is followed. `unreadable`,
/// `unsupported` (another class or byte order), `corrupt` (no ELF, or headers that cannot be).
Result<ElfHeaders> read_elf_headers(const Memory& memory, Address at, std::uint32_t most_segments = 65535);

/// One ELF note. The name is without its NUL, and cut after 16 bytes.
struct ElfNote {
  std::uint32_t type = 0;
  std::string name;
  Address content = 0;  ///< where its content is
  std::uint64_t size = 0;
};

/// Calls `visit` for each note of a segment or section until it returns false or the bytes end; a note that
/// would run past the end, or cannot be read, ends the visit. Returns how many bytes made whole notes.
/// `align` is the segment's: 8, else 4 is meant. The content is not read: it may be longer than what there is
/// of it.
std::uint64_t visit_notes(const Memory& memory, Address at, std::uint64_t size, std::uint64_t align,
                          const std::function<bool(const ElfNote&)>& visit);

/// Lower-case hexadecimal NT_GNU_BUILD_ID out of the note segments, empty when there is none.
std::string read_build_id(const ElfHeaders& elf, const ElfPlace& place);

/// One section with its name.
struct ElfSection {
  std::string name;
  Elf64_Shdr header{};
};

/// The sections of an ELF file; at most 65,535 of them. Empty for none. `unreadable`, `corrupt`.
Result<std::vector<ElfSection>> read_sections(const ElfHeaders& elf, const Memory& file);

/// The build-id of an ELF file, from its note segments or (separate debug files) its note sections.
std::string read_file_build_id(const Memory& file);

/// Reads at most `limit` bytes, as many as there are.
std::vector<std::byte> read_up_to(const Memory& memory, Address at, std::uint64_t size, std::size_t limit);

}  // namespace coppice::inspect
