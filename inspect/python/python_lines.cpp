#include "inspect/python/python_lines.hpp"

namespace coppice::inspect {
namespace {

constexpr std::int64_t code_unit = 2;  // bytes

std::uint8_t byte_at(std::span<const std::byte> table, std::size_t at) {
  return std::to_integer<std::uint8_t>(table[at]);
}

std::int8_t signed_at(std::span<const std::byte> table, std::size_t at) {
  return static_cast<std::int8_t>(byte_at(table, at));
}

/// Steps of (address, line), in force from their address on.
std::optional<std::int64_t> line_in_lnotab(std::span<const std::byte> table, std::int64_t line,
                                           std::int64_t offset) {
  std::int64_t address = 0;
  for (std::size_t at = 0; at + 1 < table.size(); at += 2) {
    address += byte_at(table, at);
    if (address > offset) break;
    line += signed_at(table, at + 1);
  }
  return line;
}

/// Ranges of (size, line), of which some have no line.
std::optional<std::int64_t> line_in_ranges(std::span<const std::byte> table, std::int64_t line,
                                           std::int64_t offset) {
  constexpr std::int8_t no_line = -128;
  std::int64_t end = 0;
  for (std::size_t at = 0; at + 1 < table.size(); at += 2) {
    end += byte_at(table, at);
    const std::int8_t step = signed_at(table, at + 1);
    if (step != no_line) line += step;
    if (offset >= end) continue;
    if (step == no_line) return std::nullopt;
    return line;
  }
  return std::nullopt;
}

/// What an entry of the location table begins with: 1 (bit 7), its kind (bits 3 to 6), code units less one.
enum Kind : std::uint8_t {
  one_line_1 = 11,
  one_line_2 = 12,
  no_columns = 13,
  with_columns = 14,
  no_location = 15
};

/// A number in groups of six bits, the lowest first, bit 6 saying that more follow, bit 0 its sign.
std::optional<std::int64_t> signed_number(std::span<const std::byte> table, std::size_t at) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift <= 30 && at < table.size(); shift += 6, ++at) {
    const std::uint8_t group = byte_at(table, at);
    if ((group & 0x80U) != 0) return std::nullopt;  // the next entry begins already
    value |= std::uint64_t{group & 0x3fU} << shift;
    if ((group & 0x40U) != 0) continue;
    const auto magnitude = static_cast<std::int64_t>(value >> 1U);
    return (value & 1U) != 0 ? -magnitude : magnitude;
  }
  return std::nullopt;
}

std::optional<std::int64_t> line_in_locations(std::span<const std::byte> table, std::int64_t line,
                                              std::int64_t offset) {
  std::int64_t end = 0;
  for (std::size_t at = 0; at < table.size();) {
    const std::uint8_t first = byte_at(table, at);
    if ((first & 0x80U) == 0) return std::nullopt;
    const unsigned kind = first >> 3U & 0xfU;
    if (kind == one_line_1 || kind == one_line_2) {
      line += kind - 10;
    } else if (kind == no_columns || kind == with_columns) {
      const auto step = signed_number(table, at + 1);
      if (!step) return std::nullopt;
      line += *step;
    }
    end += code_unit * ((first & 7U) + 1);
    if (offset < end) {
      if (kind == no_location) return std::nullopt;
      return line;
    }
    do ++at;
    while (at < table.size() && (byte_at(table, at) & 0x80U) == 0);
  }
  return std::nullopt;
}

std::optional<std::int64_t> find_line(LineTable kind, std::span<const std::byte> table, std::int64_t line,
                                      std::int64_t offset) {
  if (offset < 0) return line;
  switch (kind) {
    case LineTable::lnotab:
      return line_in_lnotab(table, line, offset);
    case LineTable::ranges:
      return line_in_ranges(table, line, offset);
    case LineTable::locations:
      return line_in_locations(table, line, offset);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> line_at(LineTable kind, std::span<const std::byte> table,
                                     std::int32_t first_line, std::int64_t offset) {
  const auto line = find_line(kind, table, first_line, offset);
  if (!line || *line <= 0 || *line > INT32_MAX) return std::nullopt;
  return static_cast<std::uint32_t>(*line);
}

}  // namespace coppice::inspect
