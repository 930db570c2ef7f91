#include "inspect/waits/heap.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "inspect/python/python_callable.hpp"
#include "inspect/python/python_objects.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint64_t word_size = 8;
constexpr std::size_t most_items = std::size_t{1} << 16U;
constexpr std::size_t longest_name = 256;

// PyCFunctionObject: m_ml and m_self, the same from 3.8 to 3.14. PyMethodObject: im_self is where m_self is.
constexpr std::uint64_t method_definition = 0x10, method_self = 0x18;

// PySetObject: used, mask and table, the same from 3.8 to 3.14.
constexpr std::uint64_t set_used = 0x18, set_mask = 0x20, set_table = 0x28;

// PyMemberDescrObject: d_member; PyMemberDef: type (an int, of which these are references to objects) and
// offset. The same from 3.8 to 3.14.
constexpr std::uint64_t member_definition = 0x28, member_type = 0x08, member_offset = 0x10;
constexpr std::uint32_t slot_member = 16;
constexpr std::uint64_t largest_instance = 0x1000;

constexpr std::uint64_t heap_type_flag = 1U << 9U;
constexpr std::size_t most_bases = 32;

// dequeobject and its blocks (Modules/_collectionsmodule.c), the same from 3.8 to 3.14.
constexpr std::uint64_t deque_left_block = 0x18;
constexpr std::uint64_t deque_left_index = 0x28;
constexpr std::uint64_t deque_block_items = 64;
constexpr std::uint64_t deque_right_link = word_size * (1 + deque_block_items);

// An instance's dictionary has few names; one that has more is not searched.
constexpr std::size_t most_attributes = 256;

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

bool Heap::advance(FrameWalk& walk) {
  const bool end = walk.advance(blocks_);
  if (!end) pending_ = true;
  return end;
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

/// Words of a long chain, of which each round would read one link only while thousands wait for its end.
std::vector<std::uint64_t> Heap::words_at_once(Address address, std::size_t count) {
  const bool pending_before = std::exchange(pending_, false);
  auto found = words(address, count);
  if (pending_ && links_left_ > 0) {
    --links_left_;
    blocks_.fetch();
    pending_ = false;
    found = words(address, count);
  }
  pending_ = pending_ || pending_before;
  return found;
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

void Heap::Fetched::read_batch(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) {
    request.got = heap_.read(request.address, request.into) ? request.into.size() : 0;
  }
}

/// A C string; none when it cannot be read, or not yet.
std::optional<std::string> Heap::text(Address address) {
  std::array<char, longest_name> text{};
  const std::size_t offset_in_page = address % 4096;
  const std::size_t size = std::min(longest_name, 4096 - offset_in_page);  // the next page may not be there
  if (!read(address, std::as_writable_bytes(std::span(text).first(size)))) return std::nullopt;
  const auto end = std::find(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size), '\0');
  const bool printable = std::all_of(text.begin(), end, [](char c) { return c > ' ' && c < 0x7f; });
  return printable ? std::string(text.begin(), end) : std::string();
}

std::string_view Heap::name_of_type(Address type) {
  if (const auto known = type_names_.find(type); known != type_names_.end()) return known->second;
  std::optional<std::string> name;
  const bool whole = answered([&] {
    if (const auto pointer = word(type + PythonLayout::type_name)) name = text(*pointer);
  });
  if (!whole) return {};
  return type_names_[type] = std::move(name).value_or(std::string());
}

/// A class of a module in Python has its module in its dict, and only its own name in tp_name.
std::optional<std::string> Heap::class_name(Address type) {
  std::string name(name_of_type(type));
  if (name.empty() || name.find('.') != std::string::npos) return name;
  const auto flags = word(type + PythonLayout::type_flags);
  const auto dict = word(type + PythonLayout::type_dict);
  if (!flags || !dict || (*flags & heap_type_flag) == 0) return name;
  const auto module =
      value_of(read_python_dict(Fetched(*this), layout_, *dict, most_attributes), "__module__");
  auto text = module ? ascii(*module) : std::nullopt;
  return text ? *std::move(text) + "." + name : name;
}

std::span<const std::string> Heap::classes(Address object) {
  const auto type = word(object + PythonLayout::object_type);
  if (!type || !plausible(*type)) return {};
  if (const auto known = classes_.find(*type); known != classes_.end()) return known->second;
  std::vector<std::string> names;
  const bool whole = answered([&] {
    for (const Address base : bases(*type)) {
      if (auto name = class_name(base)) names.push_back(*std::move(name));
    }
  });
  if (!whole) return {};
  return classes_[*type] = std::move(names);
}

/// The type itself and those that it derives from, in the order of its MRO.
std::vector<Address> Heap::bases(Address type) {
  const auto mro = word(type + PythonLayout::type_mro);
  if (!mro || !plausible(*mro) || type_name(*mro) != "tuple") return {};
  std::vector<Address> all = items(*mro);
  const auto wrong = std::ranges::find_if(all, [this](Address base) { return !plausible(base); });
  all.erase(wrong, all.end());
  all.resize(std::min(all.size(), most_bases));
  return all;
}

std::vector<Address> Heap::items(Address object) {
  const std::string_view type = type_name(object);
  if (type == "set") return set_items(object);
  const bool is_list = type == "list", is_deque = type == "collections.deque";
  if (!is_list && !is_deque && type != "tuple") return {};
  const auto size = word(object + PythonLayout::variable_size);
  if (!size || *size == 0 || *size > most_items) return {};
  const auto count = static_cast<std::size_t>(*size);
  if (is_deque) return deque_items(object, count);
  const auto first = is_list ? word(object + PythonLayout::list_items)
                             : std::optional<std::uint64_t>(object + layout_.tuple_items);
  return first ? words(*first, count) : std::vector<Address>();
}

std::vector<Address> Heap::deque_items(Address deque, std::size_t count) {
  auto block = word(deque + deque_left_block);
  const auto index = word(deque + deque_left_index);
  if (!block || !index || *index >= deque_block_items) return {};
  std::vector<Address> all;
  std::uint64_t at = *index;
  while (block && all.size() < count) {
    const auto taken = std::min<std::size_t>(count - all.size(), deque_block_items - at);
    const auto part = words_at_once(*block + word_size * (1 + at), taken);
    if (part.empty()) return {};
    all.insert(all.end(), part.begin(), part.end());
    at = 0;
    const auto right = words_at_once(*block + deque_right_link, 1);
    block = right.empty() ? std::nullopt : std::optional(right.front());
  }
  return all.size() == count ? all : std::vector<Address>();
}

/// Its whole table of {item, hash}: where nothing is, or something was, are words that are none of its items.
std::vector<Address> Heap::set_items(Address set) {
  const auto mask = word(set + set_mask), table = word(set + set_table);
  if (!mask || !table || *mask >= most_items) return {};
  const auto entries = words(*table, 2 * (static_cast<std::size_t>(*mask) + 1));
  std::vector<Address> all;
  for (std::size_t i = 0; i < entries.size(); i += 2) {
    if (entries[i] != 0) all.push_back(entries[i]);
  }
  return all;
}

std::string_view Heap::function_name(Address code) {
  if (const auto known = function_names_.find(code); known != function_names_.end()) return known->second;
  std::string name;
  const bool whole = answered([&] {
    if (type_name(code) != "code") return;
    if (const auto text = word(code + layout_.code.name)) name = ascii(*text).value_or(std::string());
  });
  if (!whole) return {};
  return function_names_[code] = std::move(name);
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

std::optional<std::int64_t> Heap::integer(Address object) {
  if (type_name(object) != "int") return std::nullopt;
  const auto read = read_python_integer(Fetched(*this), layout_, object);
  return read.ok() ? read->value : std::nullopt;
}

std::string Heap::callable(Address object) {
  return python_callable(Fetched(*this), layout_, object);
}

std::optional<double> Heap::real(Address object) {
  if (type_name(object) != "float") return std::nullopt;
  const auto bits = word(object + PythonLayout::float_value);
  return bits ? std::optional(std::bit_cast<double>(*bits)) : std::nullopt;
}

std::optional<Address> Heap::value_of(const Result<PythonDict>& dict, std::string_view name) {
  if (!dict.ok()) return std::nullopt;
  for (const auto& [key, value] : dict->items) {
    if (ascii(key) == name) return value;
  }
  return std::nullopt;
}

std::optional<Address> Heap::attribute(Address object, std::string_view name) {
  auto value = value_of(read_python_attributes(Fetched(*this), layout_, object, most_attributes), name);
  return value ? value : slot(object, name);
}

std::optional<Address> Heap::slot(Address object, std::string_view name) {
  const auto type = word(object + PythonLayout::object_type);
  if (!type || !plausible(*type)) return std::nullopt;
  const auto offset = slot_offset(*type, name);
  const auto value = offset ? word(object + *offset) : std::nullopt;
  return value && *value != 0 ? value : std::nullopt;
}

/// A slot is a member descriptor in the dict of the class that has it.
std::optional<std::uint64_t> Heap::slot_offset(Address type, std::string_view name) {
  const std::pair<Address, std::string> key(type, name);
  if (const auto known = slots_.find(key); known != slots_.end()) {
    return known->second != 0 ? std::optional(known->second) : std::nullopt;
  }
  std::uint64_t found = 0;
  const bool whole = answered([&] {
    for (const Address base : bases(type)) {
      const auto flags = word(base + PythonLayout::type_flags);
      const auto dict = word(base + PythonLayout::type_dict);
      if (!flags || !dict || (*flags & heap_type_flag) == 0) continue;
      const auto member = value_of(read_python_dict(Fetched(*this), layout_, *dict, most_attributes), name);
      if (!member) continue;
      if (type_name(*member) != "member_descriptor") return;  // something else of that name hides it
      const auto definition = word(*member + member_definition);
      const auto kind = definition ? word(*definition + member_type) : std::nullopt;
      const auto offset = kind ? word(*definition + member_offset) : std::nullopt;
      if (!offset || static_cast<std::uint32_t>(*kind) != slot_member) return;
      if (*offset % word_size == 0 && *offset < largest_instance) found = *offset;
      return;
    }
  });
  if (whole) slots_.emplace(key, found);
  return whole && found != 0 ? std::optional(found) : std::nullopt;
}

std::optional<std::uint64_t> Heap::size(Address object) {
  const std::string_view type = type_name(object);
  if (type == "set") return word(object + set_used);
  const bool sized = type == "list" || type == "collections.deque";
  return sized ? word(object + PythonLayout::variable_size) : std::nullopt;
}

std::optional<Heap::BoundMethod> Heap::bound_method(Address object) {
  if (!plausible(object)) return std::nullopt;
  const std::string_view type = type_name(object);
  if (type == "method") {
    const auto self = word(object + method_self);
    const std::string name = callable(object);
    return self ? std::optional(BoundMethod{*self, name.substr(name.rfind('.') + 1)}) : std::nullopt;
  }
  if (type != "builtin_function_or_method") return std::nullopt;
  const auto definition = word(object + method_definition), self = word(object + method_self);
  if (!definition || !self) return std::nullopt;
  const auto pointer = word(*definition);  // PyMethodDef: ml_name
  auto name = pointer ? text(*pointer) : std::nullopt;
  if (!name) return std::nullopt;
  return BoundMethod{*self, *std::move(name)};
}

}  // namespace coppice::inspect
