// Strings, bytes, integers and tuples of a CPython, read from outside with suspicion.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inspect/memory/memory.hpp"
#include "inspect/python/python_layout.hpp"

namespace coppice::inspect {

/// Text of which perhaps only the beginning was wanted.
struct PythonText {
  std::string utf8;  ///< surrogates, which a str may hold, in the three bytes they would take
  bool cut = false;  ///< it was longer than the limit
};

/// A str of any kind: compact ASCII, compact with 1, 2 or 4 bytes a character, and not compact, as subclasses
/// of str are. At most `limit` characters of it. The object's type is not looked at. `unreadable`, `corrupt`
/// (it is no str).
Result<PythonText> read_python_string(const Memory& memory, const PythonLayout& layout, Address object,
                                      std::size_t limit);

/// The bytes of a bytes object; `corrupt` when there are more than `limit`. `unreadable`.
Result<std::vector<std::byte>> read_python_bytes(const Memory& memory, const PythonLayout& layout,
                                                 Address object, std::size_t limit);

/// The items of a tuple; `corrupt` when there are more than `limit`. `unreadable`.
Result<std::vector<Address>> read_python_tuple(const Memory& memory, const PythonLayout& layout,
                                               Address object, std::size_t limit);

/// An int (bool too). `value` when 64 bits are enough, else only how many there are.
struct PythonInteger {
  std::optional<std::int64_t> value;
  bool negative = false;
  std::uint64_t bits = 0;  ///< upper limit, from the number of 30-bit digits
};
/// `unreadable`, `corrupt`.
Result<PythonInteger> read_python_integer(const Memory& memory, const PythonLayout& layout, Address object);

/// UTF-8 of characters that are `width` (1, 2 or 4) bytes each. What is no code point becomes U+FFFD.
std::string utf8_of(std::span<const std::byte> characters, unsigned width);

}  // namespace coppice::inspect
