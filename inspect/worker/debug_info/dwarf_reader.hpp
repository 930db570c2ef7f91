// DwarfReader: functions, lines and inlined calls from DWARF, by libdw.
//
// DWARF 5, sections 3.3 (subroutines and inlined subroutines), 2.17 (code addresses) and 6.2 (line numbers).
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "inspect/symbols/source_frame.hpp"
#include "inspect/worker/debug_info/elf_file.hpp"
#include "inspect/worker/debug_info/range_index.hpp"
#include "inspect/worker/debug_info/symbol_table.hpp"

namespace coppice::inspect {

struct DwarfCloser {
  void operator()(Dwarf* dwarf) const noexcept { dwarf_end(dwarf); }
};
using DwarfHandle = std::unique_ptr<Dwarf, DwarfCloser>;

/// The debug information of one ELF file. Opening reads only the root entry of every unit, since
/// .debug_aranges is optional (clang writes none) and may be partial; a unit's functions and line table are
/// read at the first address that falls into it.
///
/// Every walk over entries is charged to a budget no honest file can exceed (an entry takes at least one
/// byte), so that entries which point at one another in circles end the walk. Thread-safety: one thread at a
/// time.
class DwarfReader {
 public:
  /// Null when there is no debug information that libdw can read. `elf` must outlive the reader; `alternate`,
  /// the dwz file, may be null and must outlive it too. Addresses outside `code` are taken for discarded
  /// functions.
  static std::unique_ptr<DwarfReader> open(const ElfFile& elf, const ElfFile* alternate,
                                           const CodeRanges& code);

  /// The frames at an address, innermost first; empty when no unit covers it. `symbol`, the symbol that
  /// covers the address if any, names what DWARF leaves nameless.
  std::vector<SourceFrame> at(std::uint64_t address, const std::optional<FoundSymbol>& symbol);

  /// True once an address fell into a unit whose entries are in a .dwo file, which is never opened.
  bool met_split_unit() const noexcept { return met_split_unit_; }

 private:
  struct Unit {
    Dwarf_Die root{};
    std::uint64_t size = 0;  ///< bytes, and so the most entries it can have
    bool split = false;
    bool indexed = false;
    bool indexed_deeply = false;
    RangeIndex<Dwarf_Die> functions;
  };

  DwarfReader() = default;
  void index_units(const CodeRanges& code);
  Unit* unit_at(std::uint64_t address);
  std::optional<Dwarf_Die> function_at(Unit& unit, std::uint64_t address);
  void index_functions(Unit& unit, bool deeply);
  std::string function_name(Dwarf_Die function);

  DwarfHandle alternate_;  ///< outlives dwarf_, which refers to it
  DwarfHandle dwarf_;
  const CodeRanges* code_ = nullptr;
  std::vector<Unit> units_;
  RangeIndex<std::size_t> unit_ranges_;                 ///< values: indices into units_
  std::unordered_map<const void*, std::string> names_;  ///< by the entry's place in .debug_info
  bool met_split_unit_ = false;
};

}  // namespace coppice::inspect
