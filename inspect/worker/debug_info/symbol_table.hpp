// SymbolTable: which function symbol an address belongs to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "inspect/worker/debug_info/elf_file.hpp"
#include "inspect/worker/debug_info/range_index.hpp"
#include "inspect/worker/debug_info/symbol_source.hpp"

namespace coppice::inspect {

/// A symbol found for an address.
struct FoundSymbol {
  std::string_view
      name;  ///< as in the string table (mangled, possibly with "@VERSION"); lives as long as the file
  std::uint64_t start = 0;  ///< ELF virtual address
  bool exported = false;    ///< global or weak
};

/// The function symbols of one ELF file. An address belongs to
/// 1. the innermost symbol whose [value, value + size) holds it; of aliases the global one, of several global
///    ones the plainest name (`read` rather than `__read`);
/// 2. else the nearest symbol before it, if that one has no size (assembler labels) and lies in the same
/// section.
///    An address beyond the end of a sized symbol belongs to none: nothing vouches for such a gap.
/// Reads the table once, at construction; names are fetched only for what is found.
/// Thread-safety: one thread at a time (libelf).
class SymbolTable {
 public:
  /// `file`, in which `source` lies, and `code` must outlive the table. Symbols outside `code` are ignored.
  SymbolTable(const ElfFile& file, const SymbolSource& source, const CodeRanges& code);

  std::optional<FoundSymbol> at(std::uint64_t address) const;

  /// False when there was no usable function symbol.
  bool empty() const noexcept { return sized_.size() == 0 && starts_.empty(); }

 private:
  struct Symbol {
    std::uint64_t start = 0;
    std::uint32_t name = 0;  ///< offset in the string table
    std::uint32_t section = 0;
    bool local = false;
    bool sized = false;
  };

  std::optional<FoundSymbol> resolve(const Symbol& symbol) const;
  bool same_section(const Symbol& symbol, std::uint64_t address) const;
  /// Whether `a` names an address better than `b`, which has the same extent.
  bool plainer(const Symbol& a, const Symbol& b) const;

  Elf* elf_ = nullptr;
  std::span<const char> strings_;
  const CodeRanges& code_;
  RangeIndex<Symbol> sized_;
  std::vector<Symbol> starts_;  ///< all symbols by start; of equal starts the sized ones come last
};

}  // namespace coppice::inspect
