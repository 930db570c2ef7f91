// Exported symbols of a module: what survives stripping.
// Layouts: System V ABI, chapter 5, "Dynamic Section" and "Hash Table"; the GNU hash table as glibc's
// elf/dl-lookup.c reads it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "inspect/memory/memory.hpp"
#include "inspect/target/module.hpp"

namespace coppice::inspect {

/// A symbol that the module defines, where it is now.
struct DynamicSymbol {
  Address address = 0;
  std::uint64_t size = 0;  ///< 0 when the module does not say
  std::uint8_t type = 0;   ///< STT_FUNC, STT_OBJECT, ...
};

/// Looks symbols up in a module's .dynsym by name, as the dynamic linker does: DT_GNU_HASH, else DT_HASH.
/// Everything is read from memory when it is asked for (a core's memory has the pages of its files), a few
/// words for each name. Whatever the tables say, a lookup reads a bounded number of words, and what it finds
/// lies in the module. Versions are ignored: the first definition counts. Thread-safety: as the memory.
class DynamicSymbols {
 public:
  /// Finds the tables. `memory` and `module` must outlive the object. `unreadable`, `corrupt`, `unsupported`
  /// (no dynamic section, or no hash table in it).
  static Result<DynamicSymbols> find_tables(const Memory& memory, const Module& module);

  /// None when the module defines no such symbol, or its tables cannot be read that far.
  std::optional<DynamicSymbol> find(std::string_view name) const;

 private:
  DynamicSymbols(const Memory& memory, const Module& module) : memory_(&memory), module_(&module) {}

  std::optional<DynamicSymbol> find_by_gnu_hash(std::string_view name) const;
  std::optional<DynamicSymbol> find_by_hash(std::string_view name) const;
  std::optional<DynamicSymbol> symbol(std::uint64_t index, std::string_view name) const;
  Address in_module(std::uint64_t pointer) const noexcept;

  const Memory* memory_;
  const Module* module_;
  Address gnu_hash_ = 0;
  Address hash_ = 0;
  Address symbols_ = 0;
  Address strings_ = 0;
  std::uint64_t strings_size_ = 0;
};

}  // namespace coppice::inspect
