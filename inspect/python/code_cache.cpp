#include "inspect/python/code_cache.hpp"

#include <algorithm>
#include <cstring>

#include "inspect/greenlets/range_reader.hpp"
#include "inspect/memory/cached_memory.hpp"
#include "inspect/python/python_lines.hpp"
#include "inspect/python/python_objects.hpp"

namespace coppice::inspect {
namespace {

template <class T>
T value_at(std::span<const std::byte> bytes, std::size_t offset) {
  T value{};
  if (offset + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::array<std::uint64_t, 6> identity_of(const PythonLayout& layout, std::span<const std::byte> bytes) {
  const auto& offsets = layout.code;
  return {value_at<std::uint32_t>(bytes, offsets.first_line),
          value_at<std::uint64_t>(bytes, offsets.file),
          value_at<std::uint64_t>(bytes, offsets.name),
          value_at<std::uint64_t>(bytes, offsets.line_table),
          offsets.qualified_name != 0 ? value_at<std::uint64_t>(bytes, offsets.qualified_name) : 0,
          offsets.units != 0 ? value_at<std::uint64_t>(bytes, offsets.units) : 0};
}

}  // namespace

std::uint32_t CodeInfo::line(LineTable kind_of_table, std::int64_t offset) {
  constexpr std::size_t most_lines = 32;
  const auto known = std::ranges::find(lines_, offset, &std::pair<std::int64_t, std::uint32_t>::first);
  if (known != lines_.end()) return known->second;
  if (!line_table) return 0;
  const std::uint32_t line = line_at(kind_of_table, *line_table, first_line, offset).value_or(0);
  if (lines_.size() >= most_lines) lines_.clear();
  lines_.emplace_back(offset, line);
  return line;
}

void CodeCache::update(const Memory& memory, std::vector<Address> codes) {
  std::ranges::sort(codes);
  codes.erase(std::ranges::unique(codes).begin(), codes.end());
  if (codes_.size() + codes.size() > limits_.codes) codes_.clear();
  strings_.clear();
  RangeReader reader(memory);
  for (const Address code : codes) reader.add(code, python_.layout.code.size);
  reader.read();
  const CachedMemory cached(memory);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    CodeInfo& info = codes_[codes[i]];
    if (!look(reader.bytes(i), info)) read(cached, reader.bytes(i), info);
  }
}

/// Whether `info` is what these bytes are, so that nothing more needs to be read.
bool CodeCache::look(std::span<const std::byte> bytes, CodeInfo& info) const {
  if (bytes.size() < python_.layout.code.size) {
    info = {};
    return true;
  }
  if (python_.types.code != 0 && value_at<Address>(bytes, PythonLayout::object_type) != python_.types.code) {
    info = {};
    info.kind = CodeInfo::Kind::not_code;
    return true;
  }
  return info.kind == CodeInfo::Kind::known && info.identity == identity_of(python_.layout, bytes);
}

void CodeCache::read(const Memory& memory, std::span<const std::byte> bytes, CodeInfo& info) {
  constexpr std::int64_t code_unit = 2;
  const auto& offsets = python_.layout.code;
  info = {};
  info.kind = CodeInfo::Kind::known;
  info.identity = identity_of(python_.layout, bytes);
  info.first_line = value_at<std::int32_t>(bytes, offsets.first_line);
  if (offsets.units != 0) {
    info.first_traceable = value_at<std::int32_t>(bytes, offsets.first_traceable);
    const auto units = value_at<std::int64_t>(bytes, offsets.units);
    info.size = units > 0 && units < INT32_MAX ? units * code_unit : 0;
  }
  const std::uint16_t name = offsets.qualified_name != 0 ? offsets.qualified_name : offsets.name;
  info.function = read_name(memory, value_at<Address>(bytes, name), limits_.name);
  info.file = read_name(memory, value_at<Address>(bytes, offsets.file), limits_.file);
  auto table = read_python_bytes(memory, python_.layout, value_at<Address>(bytes, offsets.line_table),
                                 limits_.line_table);
  const bool whole = table.ok() && !info.function.empty() && !info.file.empty();
  if (table.ok()) info.line_table = std::move(table).value();
  // What was not there now may be there the next time.
  if (!whole) info.identity = {};
}

/// Files, and often names, are shared by many code objects.
Interned CodeCache::read_name(const Memory& memory, Address string, std::size_t limit) {
  if (const auto known = strings_.find(string); known != strings_.end()) return known->second;
  auto text = read_python_string(memory, python_.layout, string, limit);
  Interned name;
  if (text.ok()) {
    if (text->cut) text->utf8 += "…";
    name = text->utf8;
  }
  strings_.emplace(string, name);
  return name;
}

}  // namespace coppice::inspect
