#include "inspect/worker/debug_info/symbol_source.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

namespace coppice::inspect {
namespace {

/// More than any real program has (Chromium with all local symbols: 3 million).
constexpr std::size_t kMaxSymbols = 16'000'000;

std::span<const char> chars_of(const Elf_Data* data) {
  if (!data || !data->d_buf) return {};
  return {static_cast<const char*>(data->d_buf), data->d_size};
}

/// The part of a file that a segment loads at some address.
struct Loaded {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  ///< bytes from there to the end of the segment's part of the file
};

std::optional<Loaded> loaded_at(Elf* elf, std::uint64_t address) {
  std::size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (!gelf_getphdr(elf, static_cast<int>(i), &header)) break;
    if (header.p_type != PT_LOAD || address < header.p_vaddr) continue;
    const auto inside = address - header.p_vaddr;
    if (inside < header.p_filesz) return Loaded{header.p_offset + inside, header.p_filesz - inside};
  }
  return std::nullopt;
}

/// Reads a number of the file in its byte order; 0 outside of `data`.
std::uint32_t word_at(const Elf_Data* data, std::size_t index) {
  std::uint32_t value = 0;
  if (data && index < data->d_size / sizeof value) {
    std::memcpy(&value, static_cast<const char*>(data->d_buf) + index * sizeof value, sizeof value);
  }
  return value;
}

/// Symbols a GNU hash table knows of: the end of the chain of its highest bucket. Layout: number of buckets,
/// first symbol, words of the Bloom filter, its shift; filter; buckets; one chain word a symbol, odd at a
/// chain's end.
std::size_t count_by_gnu_hash(const Elf_Data* hash, bool is_64_bit) {
  const std::size_t buckets = word_at(hash, 0), first = word_at(hash, 1), filter = word_at(hash, 2);
  const std::size_t words = hash->d_size / sizeof(std::uint32_t);
  const std::size_t at_buckets = 4 + filter * (is_64_bit ? 2 : 1);
  if (at_buckets > words || buckets > words - at_buckets) return 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < buckets; ++i) last = std::max<std::size_t>(last, word_at(hash, at_buckets + i));
  if (last < first) return 0;
  for (auto chain = at_buckets + buckets + (last - first); chain < words; ++chain, ++last) {
    if (word_at(hash, chain) & 1) return last + 1;
  }
  return 0;
}

}  // namespace

std::optional<SymbolSource> section_symbols(const ElfFile& file, std::uint32_t type) {
  Elf_Scn* table = file.section_of_type(type);
  GElf_Shdr header;
  if (!table || !gelf_getshdr(table, &header) || header.sh_entsize == 0) return std::nullopt;
  SymbolSource source;
  source.symbols = elf_getdata(table, nullptr);
  if (!source.symbols) return std::nullopt;
  Elf_Scn* strings = elf_getscn(file.elf(), header.sh_link);
  source.strings = strings ? chars_of(elf_getdata(strings, nullptr)) : std::span<const char>();
  if (const int index = elf_scnshndx(table); index > 0) {
    source.extended = elf_getdata(elf_getscn(file.elf(), static_cast<std::size_t>(index)), nullptr);
  }
  source.count = static_cast<int>(std::min<std::size_t>(header.sh_size / header.sh_entsize, kMaxSymbols));
  return source;
}

std::optional<SymbolSource> dynamic_symbols(const ElfFile& file, std::uint64_t bias) {
  Elf* elf = file.elf();
  std::size_t headers = 0;
  Elf_Data* dynamic = nullptr;
  if (elf_getphdrnum(elf, &headers) != 0) return std::nullopt;
  for (std::size_t i = 0; i < headers && !dynamic; ++i) {
    GElf_Phdr header;
    if (!gelf_getphdr(elf, static_cast<int>(i), &header)) break;
    if (header.p_type != PT_DYNAMIC) continue;
    dynamic =
        elf_getdata_rawchunk(elf, static_cast<std::int64_t>(header.p_offset), header.p_filesz, ELF_T_DYN);
  }
  std::optional<Loaded> symbols, strings, hash, gnu_hash;
  std::uint64_t strings_size = 0;
  GElf_Dyn entry;
  for (int i = 0; dynamic && gelf_getdyn(dynamic, i, &entry) && entry.d_tag != DT_NULL; ++i) {
    const auto find = [&] {
      const auto as_linked = loaded_at(elf, entry.d_un.d_ptr);
      return as_linked ? as_linked : loaded_at(elf, entry.d_un.d_ptr - bias);
    };
    if (entry.d_tag == DT_SYMTAB) symbols = find();
    if (entry.d_tag == DT_STRTAB) strings = find();
    if (entry.d_tag == DT_HASH) hash = find();
    if (entry.d_tag == DT_GNU_HASH) gnu_hash = find();
    if (entry.d_tag == DT_STRSZ) strings_size = entry.d_un.d_val;
  }
  if (!symbols || !strings || (!hash && !gnu_hash)) return std::nullopt;

  const auto chunk = [&](const Loaded& at, std::uint64_t size, Elf_Type type) {
    return elf_getdata_rawchunk(elf, static_cast<std::int64_t>(at.offset), std::min(size, at.size), type);
  };
  const bool is_64_bit = gelf_getclass(elf) == ELFCLASS64;
  constexpr auto all = std::numeric_limits<std::uint64_t>::max();
  std::size_t count = 0;
  if (hash) {
    count = word_at(chunk(*hash, 8, ELF_T_WORD), 1);  // number of buckets, number of symbols, ...
  } else if (const Elf_Data* table = chunk(*gnu_hash, all, ELF_T_WORD)) {
    count = count_by_gnu_hash(table, is_64_bit);
  }
  const std::size_t entry_size = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);
  count = std::min({count, kMaxSymbols, static_cast<std::size_t>(symbols->size / entry_size)});
  SymbolSource source;
  source.symbols = count > 0 ? chunk(*symbols, count * entry_size, ELF_T_SYM) : nullptr;
  if (!source.symbols) return std::nullopt;
  source.count = static_cast<int>(count);
  source.strings = chars_of(chunk(*strings, strings_size, ELF_T_BYTE));
  return source;
}

}  // namespace coppice::inspect
