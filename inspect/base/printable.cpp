#include "inspect/base/printable.hpp"

#include <algorithm>
#include <cstdint>

namespace coppice::inspect {
namespace {

bool continues(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
}

/// Length of the well-formed, printable UTF-8 sequence that text begins with; 0 when there is none.
std::size_t printable_sequence(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  const std::size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xf0 && lead < 0xf5 ? 4
                                                           : 0;
  if (length == 0 || text.size() < length) return 0;
  if (!std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(length), continues)) return 0;
  std::uint32_t point = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3fU);
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  const bool control = point < 0xa0;                                                                   // C1
  const bool reorders = (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);  // bidi
  const bool breaks_line = point == 0x2028 || point == 0x2029;
  return overlong || surrogate || control || reorders || breaks_line || point > 0x10ffff ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    std::size_t length = printable_sequence(text);
    if (length > 0) {
      safe += text.substr(0, length);
    } else {
      length = 1;
      constexpr std::string_view digits = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(text.front());
      safe += "\\x";
      safe += digits[byte >> 4U];
      safe += digits[byte & 0xfU];
    }
    text.remove_prefix(length);
  }
  return safe;
}

std::size_t cells(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string cut_to_cells(std::string_view text, std::size_t limit) {
  if (cells(text) <= limit) return std::string(text);
  if (limit == 0) return {};
  std::size_t end = 0;
  for (std::size_t taken = 0; end < text.size(); ++end) {
    if (!continues(text[end]) && taken++ == limit - 1) break;
  }
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace coppice::inspect
