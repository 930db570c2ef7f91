#include "inspect/worker/debug_info/symbol_table.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace coppice::inspect {
namespace {

/// More than any real program has (Chromium with all local symbols: 3 million).
constexpr std::size_t kMaxSymbols = 16'000'000;

bool names_code(const GElf_Sym& symbol) {
  const auto type = GELF_ST_TYPE(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && (symbol.st_shndx < SHN_LORESERVE || symbol.st_shndx == SHN_XINDEX) &&
         (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

std::size_t leading_underscores(std::string_view name) {
  return std::min(name.find_first_not_of('_'), name.size());
}

}  // namespace

SymbolTable::SymbolTable(const ElfFile& file, Elf_Scn* table, const CodeRanges& code) : elf_(file.elf()) {
  GElf_Shdr header;
  if (!table || !gelf_getshdr(table, &header) || header.sh_entsize == 0) return;
  Elf_Data* data = elf_getdata(table, nullptr);
  if (!data) return;
  strings_ = header.sh_link;

  // Section numbers beyond 0xff00 stand in a table beside the symbols.
  Elf_Data* extended = nullptr;
  if (const int index = elf_scnshndx(table); index > 0)
    extended = elf_getdata(elf_getscn(elf_, index), nullptr);

  const auto count = std::min<std::size_t>(header.sh_size / header.sh_entsize, kMaxSymbols);
  for (std::size_t i = 1; i < count; ++i) {
    GElf_Sym symbol;
    Elf32_Word wide = 0;
    if (!gelf_getsymshndx(data, extended, static_cast<int>(i), &symbol, &wide)) break;
    if (!names_code(symbol) || symbol.st_name == 0 || !code.at(symbol.st_value)) continue;
    const Symbol found{.start = symbol.st_value,
                       .name = symbol.st_name,
                       .section = symbol.st_shndx == SHN_XINDEX ? wide : symbol.st_shndx,
                       .local = GELF_ST_BIND(symbol.st_info) == STB_LOCAL,
                       .sized = symbol.st_size != 0};
    if (found.sized) sized_.add(found.start, found.start + symbol.st_size, found);
    starts_.push_back(found);
  }
  sized_.finish();
  std::sort(starts_.begin(), starts_.end(), [](const Symbol& a, const Symbol& b) {
    return std::tie(a.start, a.sized) < std::tie(b.start, b.sized);
  });
}

std::optional<FoundSymbol> SymbolTable::at(std::uint64_t address) const {
  const RangeIndex<Symbol>::Range* best = nullptr;
  sized_.visit_covering(address, [&](const RangeIndex<Symbol>::Range& range) {
    if (best && range.start < best->start) return true;
    if (!best || range.end < best->end || (range.end == best->end && plainer(range.value, best->value)))
      best = &range;
    return false;
  });
  if (best) return resolve(best->value);

  const auto above =
      std::upper_bound(starts_.begin(), starts_.end(), address,
                       [](std::uint64_t value, const Symbol& symbol) { return value < symbol.start; });
  if (above == starts_.begin() || (above - 1)->sized) return std::nullopt;
  const Symbol* nearest = &*(above - 1);
  for (auto same = above - 1; same->start == nearest->start; --same) {
    if (plainer(*same, *nearest)) nearest = &*same;
    if (same == starts_.begin()) break;
  }
  if (!in_section(nearest->section, address)) return std::nullopt;
  return resolve(*nearest);
}

std::optional<FoundSymbol> SymbolTable::resolve(const Symbol& symbol) const {
  const char* name = elf_strptr(elf_, strings_, symbol.name);
  if (!name || !*name) return std::nullopt;
  return FoundSymbol{name, symbol.start};
}

bool SymbolTable::in_section(std::uint32_t section, std::uint64_t address) const {
  GElf_Shdr header;
  Elf_Scn* scn = elf_getscn(elf_, section);
  return scn && gelf_getshdr(scn, &header) && address >= header.sh_addr &&
         address - header.sh_addr < header.sh_size;
}

bool SymbolTable::plainer(const Symbol& a, const Symbol& b) const {
  if (a.local != b.local) return b.local;
  const auto name_a = resolve(a), name_b = resolve(b);
  if (!name_a || !name_b) return name_a.has_value();
  return std::make_tuple(leading_underscores(name_a->name), name_a->name.size(), name_a->name) <
         std::make_tuple(leading_underscores(name_b->name), name_b->name.size(), name_b->name);
}

}  // namespace coppice::inspect
