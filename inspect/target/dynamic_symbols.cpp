#include "inspect/target/dynamic_symbols.hpp"

#include <elf.h>

#include <array>
#include <string>

#include <fmt/format.h>

#include "inspect/target/elf_reader.hpp"

namespace coppice::inspect {

namespace {

constexpr std::uint32_t kMostHeaders = 1024;
constexpr std::uint64_t kMostDynamic = 4096;
constexpr unsigned kLongestChain = 4096;  // of symbols in one bucket
constexpr std::size_t kLongestName = 4096;

std::uint32_t gnu_hash(std::string_view name) {
  std::uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
  return hash;
}

std::uint32_t system_v_hash(std::string_view name) {
  std::uint32_t hash = 0;
  for (const char c : name) {
    hash = (hash << 4U) + static_cast<unsigned char>(c);
    const std::uint32_t high = hash & 0xf0000000U;
    hash = (hash ^ high >> 24U) & ~high;
  }
  return hash;
}

}  // namespace

/// The dynamic linker turns some of these addresses into runtime ones and leaves others (the vdso's, a
/// file's) as they were: whichever reading leads into the module is right. 0: neither does.
Address DynamicSymbols::in_module(std::uint64_t pointer) const noexcept {
  if (module_->contains(pointer)) return pointer;
  return module_->contains(pointer + module_->bias) ? pointer + module_->bias : 0;
}

Result<DynamicSymbols> DynamicSymbols::find_tables(const Memory& memory, const Module& module) {
  const auto elf = read_elf_headers(memory, module.start, kMostHeaders);
  if (!elf.ok()) return elf.error();
  const Elf64_Phdr* dynamic = nullptr;
  for (const Elf64_Phdr& segment : elf->segments) {
    if (segment.p_type == PT_DYNAMIC) dynamic = &segment;
  }
  if (dynamic == nullptr) {
    return Error{ErrorCode::unsupported, module.start, module.path + " has no dynamic section"};
  }
  DynamicSymbols tables(memory, module);
  const Address at = dynamic->p_vaddr + module.bias;
  for (std::uint64_t i = 0; i < kMostDynamic; ++i) {
    const auto entry = memory.read_value<Elf64_Dyn>(at + i * sizeof(Elf64_Dyn));
    if (!entry.ok()) return entry.error();
    const std::uint64_t value = entry->d_un.d_val;
    if (entry->d_tag == DT_NULL) break;
    if (entry->d_tag == DT_GNU_HASH) tables.gnu_hash_ = tables.in_module(value);
    if (entry->d_tag == DT_HASH) tables.hash_ = tables.in_module(value);
    if (entry->d_tag == DT_SYMTAB) tables.symbols_ = tables.in_module(value);
    if (entry->d_tag == DT_STRTAB) tables.strings_ = tables.in_module(value);
    if (entry->d_tag == DT_STRSZ) tables.strings_size_ = value;
  }
  if (tables.symbols_ == 0 || tables.strings_ == 0) {
    return Error{ErrorCode::corrupt, at, module.path + " has no symbol table where its dynamic section says"};
  }
  if (tables.gnu_hash_ == 0 && tables.hash_ == 0) {
    return Error{ErrorCode::unsupported, at, module.path + " has no hash table of its symbols"};
  }
  return tables;
}

std::optional<DynamicSymbol> DynamicSymbols::find(std::string_view name) const {
  if (name.empty() || name.size() > kLongestName) return std::nullopt;
  return gnu_hash_ != 0 ? find_by_gnu_hash(name) : find_by_hash(name);
}

/// header | bloom filter | one word a bucket: its first symbol | one word a symbol: its hash, whose lowest
/// bit marks the last one of a bucket
std::optional<DynamicSymbol> DynamicSymbols::find_by_gnu_hash(std::string_view name) const {
  struct Header {
    std::uint32_t buckets, first_symbol, bloom_words, bloom_shift;
  };
  const auto header = memory_->read_value<Header>(gnu_hash_);
  if (!header.ok() || header->buckets == 0) return std::nullopt;
  const std::uint32_t hash = gnu_hash(name);
  const Address buckets =
      gnu_hash_ + sizeof(Header) + std::uint64_t{header->bloom_words} * sizeof(std::uint64_t);
  const Address hashes = buckets + std::uint64_t{header->buckets} * sizeof(std::uint32_t);
  const auto first =
      memory_->read_value<std::uint32_t>(buckets + std::uint64_t{hash % header->buckets} * sizeof hash);
  if (!first.ok() || *first < header->first_symbol) return std::nullopt;  // 0: an empty bucket
  for (unsigned i = 0; i < kLongestChain; ++i) {
    const std::uint64_t index = std::uint64_t{*first} + i;
    const auto other =
        memory_->read_value<std::uint32_t>(hashes + (index - header->first_symbol) * sizeof hash);
    if (!other.ok()) return std::nullopt;
    if ((*other | 1U) == (hash | 1U)) {
      if (auto found = symbol(index, name)) return found;
    }
    if ((*other & 1U) != 0) break;
  }
  return std::nullopt;
}

/// count of buckets | count of symbols | one word a bucket: its first symbol | one word a symbol: the next
/// one
std::optional<DynamicSymbol> DynamicSymbols::find_by_hash(std::string_view name) const {
  const auto header = memory_->read_value<std::array<std::uint32_t, 2>>(hash_);
  if (!header.ok()) return std::nullopt;
  const auto [buckets, symbols] = *header;
  if (buckets == 0) return std::nullopt;
  const Address first = hash_ + sizeof *header;
  const Address next = first + std::uint64_t{buckets} * sizeof(std::uint32_t);
  Address link = first + std::uint64_t{system_v_hash(name) % buckets} * sizeof(std::uint32_t);
  for (unsigned i = 0; i < kLongestChain; ++i) {
    const auto index = memory_->read_value<std::uint32_t>(link);
    if (!index.ok() || *index == 0 || *index >= symbols) return std::nullopt;
    if (auto found = symbol(*index, name)) return found;
    link = next + std::uint64_t{*index} * sizeof(std::uint32_t);
  }
  return std::nullopt;
}

/// The symbol with that index, when it has this name and is defined here.
std::optional<DynamicSymbol> DynamicSymbols::symbol(std::uint64_t index, std::string_view name) const {
  const auto entry = memory_->read_value<Elf64_Sym>(symbols_ + index * sizeof(Elf64_Sym));
  if (!entry.ok() || entry->st_shndx == SHN_UNDEF || entry->st_name >= strings_size_) return std::nullopt;
  const std::uint8_t type = ELF64_ST_TYPE(entry->st_info);
  const Address address = entry->st_value + module_->bias;
  if (type == STT_TLS || !module_->contains(address)) return std::nullopt;
  const auto text = memory_->read_string(strings_ + entry->st_name, name.size() + 1);
  if (!text.ok() || *text != name) return std::nullopt;
  return DynamicSymbol{address, entry->st_size, type};
}

}  // namespace coppice::inspect
