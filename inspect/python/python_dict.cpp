#include "inspect/python/python_dict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

namespace coppice::inspect {
namespace {

/// PyDictObject.
constexpr std::uint16_t keys_offset = 0x20, values_offset = 0x28;
/// Of an instance whose dict is managed, before it: pointers to its values (3.11) and to its dict.
constexpr std::uint64_t managed_values = 0x20, managed_dict = 0x18;
/// Py_TPFLAGS_MANAGED_DICT and Py_TPFLAGS_INLINE_VALUES.
constexpr std::uint64_t managed_flag = 1U << 4U, embedded_flag = 1U << 2U;
/// No instance is so large before its dict.
constexpr std::int64_t most_dict_offset = 1 << 20;
/// How many entries are looked at for one that is not deleted.
constexpr std::uint64_t most_entries = 4096;

/// Where the entries of a dict are.
struct Entries {
  Address start = 0;
  std::uint64_t count = 0;
  bool with_hash = false;  ///< {hash, key, value}, else {key, value}
};

Error no_dict(Address object) {
  return {ErrorCode::corrupt, object, fmt::format("what is at {:#x} is no dict", object)};
}

/// PyDictKeysObject until 3.10: refcount, size, lookup function, usable, entries, then the indices.
Result<Entries> old_entries(const Memory& memory, Address object, Address keys) {
  const auto head = memory.read_value<std::array<std::uint64_t, 5>>(keys);
  if (!head.ok()) return head.error();
  const std::uint64_t size = (*head)[1];
  const std::uint64_t count = (*head)[4];
  if (!std::has_single_bit(size) || size > UINT32_MAX || count > size) return no_dict(object);
  const std::uint64_t width = size <= 0xff ? 1 : size <= 0xffff ? 2 : 4;
  return Entries{keys + sizeof *head + size * width, count, true};
}

/// From 3.11 on: refcount, log2 of the size and of the bytes of the indices, kind, version, usable, entries.
Result<Entries> new_entries(const Memory& memory, Address object, Address keys) {
  struct Head {
    std::uint64_t references;
    std::uint8_t log2_size, log2_index_bytes, kind, padding;
    std::uint32_t version;
    std::uint64_t usable, count;
  };
  constexpr std::uint8_t general_kind = 0, most_log2 = 40;
  const auto head = memory.read_value<Head>(keys);
  if (!head.ok()) return head.error();
  if (head->log2_size > most_log2 || head->log2_index_bytes > most_log2 || head->kind > 2 ||
      head->count > std::uint64_t{1} << head->log2_size) {
    return no_dict(object);
  }
  return Entries{keys + sizeof *head + (std::uint64_t{1} << head->log2_index_bytes), head->count,
                 head->kind == general_kind};
}

/// The items of a table of keys. `values`: of a split table, whose own values are not used; else 0.
Result<PythonDict> read_items(const Memory& memory, const PythonLayout& layout, Address object, Address keys,
                              Address values, std::size_t limit) {
  const auto entries =
      layout.dict.sized_by_log ? new_entries(memory, object, keys) : old_entries(memory, object, keys);
  if (!entries.ok()) return entries.error();
  PythonDict dict;
  const std::size_t words = entries->with_hash ? 3 : 2;
  const std::uint64_t most = std::min(entries->count, most_entries);
  for (std::uint64_t i = 0; i < most && dict.items.size() < limit; ++i) {
    std::array<Address, 3> entry{};
    const auto bytes = std::as_writable_bytes(std::span(entry)).first(words * sizeof(Address));
    auto done = memory.read(entries->start + i * bytes.size(), bytes);
    if (!done.ok()) return std::move(done).error();
    Address value = entry[words - 1];
    if (values != 0) {
      const auto apart = memory.read_value<Address>(values + layout.dict.values + i * sizeof(Address));
      if (!apart.ok()) return apart.error();
      value = *apart;
    }
    if (value != 0) dict.items.emplace_back(entry[words - 2], value);  // else deleted, or not set
  }
  dict.size = dict.items.size();
  return dict;
}

/// The attributes of an instance that has no dict: its values, by the keys that its type remembers.
Result<PythonDict> read_values(const Memory& memory, const PythonLayout& layout, Address object, Address type,
                               Address values, std::size_t limit) {
  const auto keys = memory.read_value<Address>(type + layout.type_cached_keys);
  if (!keys.ok()) return keys.error();
  if (values == 0 || *keys == 0) return PythonDict{};
  return read_items(memory, layout, object, *keys, values, limit);
}

}  // namespace

Result<PythonDict> read_python_dict(const Memory& memory, const PythonLayout& layout, Address object,
                                    std::size_t limit) {
  const auto size = memory.read_value<std::uint64_t>(object + PythonLayout::variable_size);
  const auto keys = memory.read_value<Address>(object + keys_offset);
  const auto values = memory.read_value<Address>(object + values_offset);
  if (!values.ok()) return values.error();
  if (!size.ok() || !keys.ok()) return size.ok() ? keys.error() : size.error();
  if (limit == 0 || *size == 0) return PythonDict{*size, {}};
  auto dict = read_items(memory, layout, object, *keys, *values, std::min<std::uint64_t>(limit, *size));
  if (dict.ok()) dict->size = *size;
  return dict;
}

Result<PythonDict> read_python_attributes(const Memory& memory, const PythonLayout& layout, Address object,
                                          std::size_t limit) {
  const auto type = memory.read_value<Address>(object + PythonLayout::object_type);
  if (!type.ok()) return type.error();
  const auto flags = memory.read_value<std::uint64_t>(*type + PythonLayout::type_flags);
  const auto offset = memory.read_value<std::int64_t>(*type + PythonLayout::type_dict_offset);
  if (!flags.ok() || !offset.ok()) return flags.ok() ? offset.error() : flags.error();
  Address place = 0;  // of the pointer to the dict
  if (layout.dict.managed != ManagedDict::none && (*flags & managed_flag) != 0) {
    place = object - managed_dict;
  } else if (*offset > 0 && *offset <= most_dict_offset) {
    place = object + static_cast<std::uint64_t>(*offset);
  } else {
    return PythonDict{};
  }
  const auto dict = memory.read_value<Address>(place);
  if (!dict.ok()) return dict.error();
  const bool managed = place < object;
  if (managed && layout.dict.managed == ManagedDict::tagged && (*dict & 1U) != 0) {
    return read_values(memory, layout, object, *type, *dict + 1, limit);
  }
  if (*dict != 0) return read_python_dict(memory, layout, *dict, limit);
  if (managed && layout.dict.managed == ManagedDict::separate) {
    const auto values = memory.read_value<Address>(object - managed_values);
    if (!values.ok()) return values.error();
    return read_values(memory, layout, object, *type, *values, limit);
  }
  if (managed && layout.dict.managed == ManagedDict::embedded && (*flags & embedded_flag) != 0) {
    const auto size = memory.read_value<std::uint64_t>(*type + PythonLayout::type_basic_size);
    if (!size.ok()) return size.error();
    if (*size > most_dict_offset) return no_dict(object);
    const auto head = memory.read_value<std::array<std::uint8_t, 4>>(object + *size);
    if (!head.ok()) return head.error();
    const bool valid = (*head)[3] != 0;
    return read_values(memory, layout, object, *type, valid ? object + *size : 0, limit);
  }
  return PythonDict{};
}

}  // namespace coppice::inspect
