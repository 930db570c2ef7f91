#include "inspect/waits/heap.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace coppice::inspect {
namespace {

constexpr std::uint64_t word_size = 8;
constexpr std::size_t most_items = std::size_t{1} << 16U;
constexpr std::size_t longest_name = 256;

// PyTypeObject, the same from 3.8 to 3.14 (Include/cpython/object.h).
constexpr std::uint64_t type_dict_offset = 0x120;

// dequeobject and its blocks (Modules/_collectionsmodule.c), the same from 3.8 to 3.14.
constexpr std::uint64_t deque_left_block = 0x18;
constexpr std::uint64_t deque_left_index = 0x28;
constexpr std::uint64_t deque_block_items = 64;
constexpr std::uint64_t deque_right_link = word_size * (1 + deque_block_items);

// PyDictObject (Include/cpython/dictobject.h), the same from 3.8 to 3.14.
constexpr std::uint64_t dict_keys = 0x20;
constexpr std::uint64_t dict_values = 0x28;
// An instance's dictionary has few names; one that has more is not searched.
constexpr std::uint64_t most_attributes = 256;

}  // namespace

Heap::Heap(const Memory& memory, const PythonLayout& layout, std::span<const Mapping> mappings)
    : layout_(layout), blocks_(memory) {
  for (const Mapping& mapping : mappings) {
    if (!mapping.readable || !mapping.writable) continue;
    if (!writable_.empty() && writable_.back().end == mapping.start) {
      writable_.back().end = mapping.end;
    } else {
      writable_.push_back({mapping.start, mapping.end});
    }
  }
}

bool Heap::plausible(Address object) const {
  if (object % word_size != 0) return false;
  const auto after = std::ranges::upper_bound(writable_, object, {}, &Range::start);
  return after != writable_.begin() && object < std::prev(after)->end;
}

bool Heap::read(Address address, std::span<std::byte> into) {
  const auto found = blocks_.find(address, into);
  if (found == BlockReader::Found::wanted) pending_ = true;
  return found == BlockReader::Found::ready;
}

std::vector<std::uint64_t> Heap::words(Address address, std::size_t count) {
  std::vector<std::uint64_t> words(count);
  // In pieces: a block reader hands out at most one block at a time. All are asked for, so that one round of
  // fetching is enough.
  constexpr std::size_t piece = 64;
  bool whole = true;
  for (std::size_t done = 0; done < count; done += piece) {
    const auto part = std::span(words).subspan(done, std::min(piece, count - done));
    whole = read(address + done * word_size, std::as_writable_bytes(part)) && whole;
  }
  if (!whole) words.clear();
  return words;
}

std::optional<std::uint64_t> Heap::word(Address address) {
  std::uint64_t value = 0;
  if (!read(address, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
  return value;
}

std::string_view Heap::type_name(Address object) {
  const auto type = word(object + PythonLayout::object_type);
  return type && plausible(*type) ? name_of_type(*type) : std::string_view();
}

std::string_view Heap::name_of_type(Address type) {
  if (const auto known = type_names_.find(type); known != type_names_.end()) return known->second;
  const auto name = word(type + PythonLayout::type_name);
  if (!name) return {};
  std::array<char, longest_name> text{};
  const std::size_t offset_in_page = *name % 4096;
  const std::size_t size = std::min(longest_name, 4096 - offset_in_page);  // the next page may not be there
  switch (blocks_.find(*name, std::as_writable_bytes(std::span(text).first(size)))) {
    case BlockReader::Found::wanted:
      pending_ = true;
      return {};
    case BlockReader::Found::unreadable:
      return type_names_[type];
    case BlockReader::Found::ready:
      break;
  }
  const auto end = std::find(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size), '\0');
  const bool printable = std::all_of(text.begin(), end, [](char c) { return c > ' ' && c < 0x7f; });
  return type_names_[type] = printable ? std::string(text.begin(), end) : std::string();
}

std::vector<Address> Heap::items(Address object) {
  const std::string_view type = type_name(object);
  const bool is_list = type == "list";
  const bool is_deque = type == "collections.deque";
  if (!is_list && !is_deque && type != "tuple") return {};
  const auto size = word(object + PythonLayout::variable_size);
  if (!size || *size == 0 || *size > most_items) return {};
  const auto count = static_cast<std::size_t>(*size);
  if (!is_deque) {
    const auto first = is_list ? word(object + PythonLayout::list_items)
                               : std::optional<std::uint64_t>(object + layout_.tuple_items);
    return first ? words(*first, count) : std::vector<Address>();
  }
  auto block = word(object + deque_left_block);
  const auto index = word(object + deque_left_index);
  if (!block || !index || *index >= deque_block_items) return {};
  std::vector<Address> all;
  std::uint64_t at = *index;
  while (block && all.size() < count) {
    const auto taken = std::min<std::size_t>(count - all.size(), deque_block_items - at);
    const auto part = words(*block + word_size * (1 + at), taken);
    if (part.empty()) return {};
    all.insert(all.end(), part.begin(), part.end());
    at = 0;
    block = word(*block + deque_right_link);
  }
  return all.size() == count ? all : std::vector<Address>();
}

std::optional<std::string> Heap::ascii(Address string) {
  if (type_name(string) != "str") return std::nullopt;
  const auto length = word(string + PythonLayout::string_length);
  const auto state = word(string + PythonLayout::string_state);
  if (!length || !state || *length > longest_name) return std::nullopt;
  if ((*state >> 5U & 3U) != 3) return std::nullopt;  // compact and ASCII
  std::string text(static_cast<std::size_t>(*length), '\0');
  if (!read(string + layout_.ascii_data, std::as_writable_bytes(std::span(text)))) return std::nullopt;
  return text;
}

std::optional<Address> Heap::dict_of(Address object) {
  const auto type = word(object + PythonLayout::object_type);
  if (!type) return std::nullopt;
  const auto offset = word(*type + type_dict_offset);
  if (!offset || *offset == 0 || *offset > 4096) return std::nullopt;
  const auto dict = word(object + *offset);
  if (!dict || *dict == 0 || type_name(*dict) != "dict") return std::nullopt;
  return dict;
}

std::optional<Address> Heap::attribute(Address object, std::string_view name) {
  const auto dict = dict_of(object);
  return dict ? find(*dict, name) : std::nullopt;
}

std::optional<Address> Heap::find(Address dict, std::string_view name) {
  const auto keys = word(dict + dict_keys);
  const auto values = word(dict + dict_values);
  if (!keys || !values) return std::nullopt;
  const DictLayout& layout = layout_.dict;
  const auto entries = word(*keys + layout.entry_count);
  if (!entries || *entries > most_attributes) return std::nullopt;
  std::uint64_t indices = 0;  // bytes
  std::uint64_t entry_size = 0;
  if (layout.sized_by_log) {
    const auto sizes = word(*keys + word_size);  // dk_log2_size, dk_log2_index_bytes, dk_kind, ...
    if (!sizes || (*sizes >> 8U & 0xffU) > 12) return std::nullopt;
    indices = std::uint64_t{1} << (*sizes >> 8U & 0xffU);
    const bool general = (*sizes >> 16U & 0xffU) == 0;
    entry_size = general ? 3 * word_size : 2 * word_size;
  } else {
    const auto slots = word(*keys + word_size);  // dk_size
    if (!slots || *slots > 1024) return std::nullopt;
    indices = *slots <= 0xff ? *slots : 2 * *slots;
    entry_size = 3 * word_size;
  }
  const std::uint64_t key_at = entry_size - 2 * word_size;
  for (std::uint64_t i = 0; i < *entries; ++i) {
    const Address entry = *keys + layout.indices + indices + i * entry_size;
    const auto key = word(entry + key_at);
    if (!key || *key == 0 || ascii(*key) != name) continue;
    const auto value =
        *values == 0 ? word(entry + key_at + word_size) : word(*values + layout.values + i * word_size);
    return value && *value != 0 ? value : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace coppice::inspect
