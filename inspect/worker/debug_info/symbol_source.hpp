// Where a file's symbols are: in its sections, or, without section headers, where its dynamic segment says.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "inspect/worker/debug_info/elf_file.hpp"

namespace coppice::inspect {

/// A symbol table and its strings, both inside the file that they were found in.
struct SymbolSource {
  Elf_Data* symbols = nullptr;
  Elf_Data* extended = nullptr;  ///< section numbers that do not fit into a symbol, or null
  int count = 0;
  std::span<const char> strings;
};

/// The table in the first section of that type (SHT_SYMTAB, SHT_DYNSYM).
std::optional<SymbolSource> section_symbols(const ElfFile& file, std::uint32_t type);

/// The table that PT_DYNAMIC leads to, for images that were put together from memory and have no section
/// headers. The dynamic linker adds the load bias to the addresses in there: those that lie in no segment are
/// taken to be relocated by `bias`.
std::optional<SymbolSource> dynamic_symbols(const ElfFile& file, std::uint64_t bias);

}  // namespace coppice::inspect
