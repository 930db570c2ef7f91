#include "inspect/python/python_dict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

namespace coppice::inspect {
namespace {

/// PyDictObject.
constexpr std::uint16_t keys_offset = 0x20, values_offset = 0x28;
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

}  // namespace

Result<PythonDict> read_python_dict(const Memory& memory, const PythonLayout& layout, Address object,
                                    std::size_t limit) {
  PythonDict dict;
  const auto size = memory.read_value<std::uint64_t>(object + PythonLayout::variable_size);
  const auto keys = memory.read_value<Address>(object + keys_offset);
  const auto values = memory.read_value<Address>(object + values_offset);
  if (!values.ok()) return values.error();
  if (!size.ok() || !keys.ok()) return size.ok() ? keys.error() : size.error();
  dict.size = *size;
  // The values of instances' dicts stand apart, in the order of insertion: shown as not read.
  if (limit == 0 || *size == 0 || *values != 0) return dict;
  const bool old = layout.frame_kind == FrameKind::frame_object;
  const auto entries = old ? old_entries(memory, object, *keys) : new_entries(memory, object, *keys);
  if (!entries.ok()) return entries.error();
  const std::size_t words = entries->with_hash ? 3 : 2;
  const std::uint64_t most = std::min(entries->count, most_entries);
  for (std::uint64_t i = 0; i < most && dict.items.size() < std::min<std::uint64_t>(limit, *size); ++i) {
    std::array<Address, 3> entry{};
    const auto bytes = std::as_writable_bytes(std::span(entry)).first(words * sizeof(Address));
    auto done = memory.read(entries->start + i * bytes.size(), bytes);
    if (!done.ok()) return std::move(done).error();
    const Address value = entry[words - 1];
    if (value != 0) dict.items.emplace_back(entry[words - 2], value);  // else deleted
  }
  return dict;
}

}  // namespace coppice::inspect
