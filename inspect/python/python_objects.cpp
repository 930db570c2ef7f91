#include "inspect/python/python_objects.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace coppice::inspect {
namespace {

/// One read takes the head and, of most names, all the characters.
constexpr std::size_t first_read = 256;
constexpr std::uint64_t longest_string = std::uint64_t{1} << 40U;

Error no_such_object(Address object, const char* what) {
  return {ErrorCode::corrupt, object, fmt::format("what is at {:#x} is no {}", object, what)};
}

template <class T>
T value_at(std::span<const std::byte> bytes, std::size_t offset) {
  T value{};
  if (offset + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// What a str says about itself, in the bit field `state`: two bits (interned), then three, one, one.
struct StringShape {
  std::uint64_t length = 0;  ///< characters
  unsigned width = 0;        ///< bytes of each
  bool compact = false;
  bool ascii = false;
};

std::optional<StringShape> shape_of(std::span<const std::byte> head) {
  const auto state = value_at<std::uint32_t>(head, PythonLayout::string_state);
  StringShape shape;
  shape.length = value_at<std::uint64_t>(head, PythonLayout::string_length);
  shape.width = state >> 2U & 7U;
  shape.compact = (state >> 5U & 1U) != 0;
  shape.ascii = (state >> 6U & 1U) != 0;
  const bool sensible_width = shape.width == 1 || (!shape.ascii && (shape.width == 2 || shape.width == 4));
  if (!sensible_width || shape.length > longest_string) return std::nullopt;
  return shape;
}

void append_utf8(std::string& text, std::uint32_t point) {
  if (point > 0x10ffff) point = 0xfffd;
  const auto tail = [&](unsigned shift) { text += static_cast<char>(0x80U | (point >> shift & 0x3fU)); };
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xc0U | point >> 6U);
    tail(0);
  } else if (point < 0x10000) {
    text += static_cast<char>(0xe0U | point >> 12U);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0U | point >> 18U);
    tail(12);
    tail(6);
    tail(0);
  }
}

/// Number of items of an object with a variable size.
Result<std::uint64_t> read_size(const Memory& memory, Address object, std::size_t limit, const char* what) {
  const auto size = memory.read_value<std::uint64_t>(object + PythonLayout::variable_size);
  if (!size.ok()) return size.error();
  if (*size > limit) return no_such_object(object, what);
  return *size;
}

}  // namespace

std::string utf8_of(std::span<const std::byte> characters, unsigned width) {
  std::string text;
  text.reserve(characters.size() / width);
  for (std::size_t at = 0; at + width <= characters.size(); at += width) {
    std::uint32_t point = 0;
    std::memcpy(&point, characters.data() + at, width);
    append_utf8(text, point);
  }
  return text;
}

Result<PythonText> read_python_string(const Memory& memory, const PythonLayout& layout, Address object,
                                      std::size_t limit) {
  std::array<std::byte, first_read> first;  // NOLINT: filled by the read
  const std::size_t got = memory.read_some(object, first);
  const std::span<const std::byte> head(first.data(), got);
  if (got < layout.ascii_data) {
    return Error{ErrorCode::unreadable, object + got, fmt::format("cannot read the string at {:#x}", object)};
  }
  const auto shape = shape_of(head);
  if (!shape) return no_such_object(object, "string");

  const std::uint64_t wanted = std::min<std::uint64_t>(shape->length, limit);
  Address data = object + (shape->ascii ? layout.ascii_data : layout.compact_data);
  if (!shape->compact) {
    const auto pointer = memory.read_value<Address>(object + layout.legacy_data);
    if (!pointer.ok()) return pointer.error();
    data = *pointer;
  }
  std::vector<std::byte> characters(static_cast<std::size_t>(wanted) * shape->width);
  const Address from = data - object;
  if (shape->compact && from + characters.size() <= got) {
    std::copy_n(head.begin() + static_cast<std::ptrdiff_t>(from), characters.size(), characters.begin());
  } else if (auto done = memory.read(data, characters); !done.ok()) {
    return std::move(done).error();
  }
  return PythonText{utf8_of(characters, shape->width), wanted < shape->length};
}

Result<std::vector<std::byte>> read_python_bytes(const Memory& memory, const PythonLayout&, Address object,
                                                 std::size_t limit) {
  const auto size = read_size(memory, object, limit, "bytes object of a sensible size");
  if (!size.ok()) return size.error();
  std::vector<std::byte> bytes = {};
  // By pieces, so that a size that lies costs no more memory than there is to read.
  constexpr std::uint64_t piece = 64U << 10U;
  while (bytes.size() < *size) {
    const std::size_t have = bytes.size();
    bytes.resize(have + static_cast<std::size_t>(std::min(*size - have, piece)));
    auto done = memory.read(object + PythonLayout::bytes_data + have, std::span(bytes).subspan(have));
    if (!done.ok()) return std::move(done).error();
  }
  return bytes;
}

Result<std::vector<Address>> read_python_tuple(const Memory& memory, const PythonLayout& layout,
                                               Address object, std::size_t limit) {
  const auto size = read_size(memory, object, limit, "tuple of a sensible size");
  if (!size.ok()) return size.error();
  std::vector<Address> items(static_cast<std::size_t>(*size));
  auto done = memory.read(object + layout.tuple_items, std::as_writable_bytes(std::span(items)));
  if (!done.ok()) return std::move(done).error();
  return items;
}

Result<PythonInteger> read_python_integer(const Memory& memory, const PythonLayout& layout, Address object) {
  constexpr std::uint64_t most_digits = std::uint64_t{1} << 32U;
  constexpr unsigned digit_bits = 30;
  const auto word = memory.read_value<std::uint64_t>(object + PythonLayout::variable_size);
  if (!word.ok()) return word.error();
  PythonInteger integer;
  std::uint64_t digits = 0;
  if (layout.new_long) {  // lv_tag: sign (0 plus, 1 zero, 2 minus), a reserved bit, number of digits
    digits = (*word & 3U) == 1 ? 0 : *word >> 3U;
    integer.negative = (*word & 3U) == 2;
  } else {  // ob_size, negative for a negative number
    integer.negative = static_cast<std::int64_t>(*word) < 0;
    digits = integer.negative ? 0 - *word : *word;
  }
  if (digits > most_digits) return no_such_object(object, "int");
  integer.bits = digits * digit_bits;
  constexpr std::uint64_t readable_digits = 3;
  if (digits > readable_digits) return integer;

  constexpr std::uint16_t first_digit = 0x18;
  std::array<std::uint32_t, readable_digits> parts{};
  auto done = memory.read(object + first_digit, std::as_writable_bytes(std::span(parts)).first(digits * 4));
  if (!done.ok()) return std::move(done).error();
  if (parts[2] >= 1U << 3U) return integer;  // 63 bits are enough otherwise
  const std::uint64_t magnitude = parts[0] | std::uint64_t{parts[1]} << 30U | std::uint64_t{parts[2]} << 60U;
  integer.value =
      integer.negative ? -static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude);
  return integer;
}

}  // namespace coppice::inspect
