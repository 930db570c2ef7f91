#include "inspect/worker/debug_info/symbol_table.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace coppice::inspect {
namespace {

bool names_code(const GElf_Sym& symbol) {
  const auto type = GELF_ST_TYPE(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && (symbol.st_shndx < SHN_LORESERVE || symbol.st_shndx == SHN_XINDEX) &&
         (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

std::size_t leading_underscores(std::string_view name) {
  return std::min(name.find_first_not_of('_'), name.size());
}

}  // namespace

SymbolTable::SymbolTable(const ElfFile& file, const SymbolSource& source, const CodeRanges& code)
    : elf_(file.elf()), strings_(source.strings), code_(code) {
  for (int i = 1; i < source.count; ++i) {
    GElf_Sym symbol;
    Elf32_Word wide = 0;
    if (!gelf_getsymshndx(source.symbols, source.extended, i, &symbol, &wide)) break;
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
  if (!same_section(*nearest, address)) return std::nullopt;
  return resolve(*nearest);
}

std::optional<FoundSymbol> SymbolTable::resolve(const Symbol& symbol) const {
  if (symbol.name >= strings_.size()) return std::nullopt;
  const auto rest = strings_.subspan(symbol.name);
  const auto length = strnlen(rest.data(), rest.size());
  if (length == 0 || length == rest.size()) return std::nullopt;
  return FoundSymbol{{rest.data(), length}, symbol.start, !symbol.local};
}

bool SymbolTable::same_section(const Symbol& symbol, std::uint64_t address) const {
  GElf_Shdr header;
  Elf_Scn* section = elf_getscn(elf_, symbol.section);
  if (!section || !gelf_getshdr(section, &header)) return code_.at(symbol.start) == code_.at(address);
  return address >= header.sh_addr && address - header.sh_addr < header.sh_size;
}

bool SymbolTable::plainer(const Symbol& a, const Symbol& b) const {
  if (a.local != b.local) return b.local;
  const auto found_a = resolve(a), found_b = resolve(b);
  if (!found_a || !found_b) return found_a.has_value();
  const auto plainness = [](std::string_view name) {
    name = name.substr(0, name.find('@', 1));  // versions do not count
    return std::make_tuple(leading_underscores(name), name.size(), name);
  };
  return plainness(found_a->name) < plainness(found_b->name);
}

}  // namespace coppice::inspect
