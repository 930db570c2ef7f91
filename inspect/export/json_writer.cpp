#include "inspect/export/json_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace coppice::inspect {

void JsonWriter::separate() {
  if (!first_) buffer_ += ',';
  first_ = false;
}

void JsonWriter::open(char bracket) {
  separate();
  buffer_ += bracket;
  first_ = true;
}

void JsonWriter::close(char bracket) {
  buffer_ += bracket;
  first_ = false;
}

void JsonWriter::token(std::string_view text) {
  separate();
  buffer_ += text;
}

void JsonWriter::key(std::string_view name) {
  separate();
  buffer_ += '"';
  buffer_ += name;
  buffer_ += "\":";
  first_ = true;  // its value follows without a comma
}

void JsonWriter::number(std::uint64_t value) {
  separate();
  fmt::format_to(std::back_inserter(buffer_), "{}", value);
}

void JsonWriter::signed_number(std::int64_t value) {
  separate();
  fmt::format_to(std::back_inserter(buffer_), "{}", value);
}

void JsonWriter::string(std::string_view value) {
  const bool plain = std::all_of(value.begin(), value.end(),
                                 [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
  separate();
  if (plain) {
    buffer_ += '"';
    buffer_ += value;
    buffer_ += '"';
  } else {
    using nlohmann::json;
    buffer_ += json(value).dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

void JsonWriter::address(Address value) {
  separate();
  fmt::format_to(std::back_inserter(buffer_), "\"{:#x}\"", value);
}

void JsonWriter::text_field(std::string_view name, std::string_view value) {
  key(name);
  value.empty() ? null() : string(value);
}

void JsonWriter::id_field(std::string_view name, const std::optional<std::string>& id) {
  text_field(name, id ? std::string_view(*id) : std::string_view());
}

void JsonWriter::number_field(std::string_view name, std::uint64_t value) {
  key(name);
  number(value);
}

void JsonWriter::address_field(std::string_view name, const std::optional<Address>& value) {
  key(name);
  value ? address(*value) : null();
}

void JsonWriter::boolean_field(std::string_view name, bool value) {
  key(name);
  boolean(value);
}

bool JsonWriter::flush() {
  const bool wanted = sink_(buffer_);
  buffer_.clear();
  return wanted;
}

}  // namespace coppice::inspect
