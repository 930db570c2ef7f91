// A streaming JSON writer: a snapshot of 100,000 greenlets is hundreds of megabytes of JSON, which must not
// stand in memory as a tree first. nlohmann-json does the escaping; this only puts commas and brackets.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "inspect/base/result.hpp"
#include "inspect/export/sink.hpp"

namespace coppice::inspect {

/// Writes one document on one line. Strings that are no valid UTF-8 get U+FFFD for the broken bytes: names
/// come from the target, and the target may lie.
class JsonWriter {
 public:
  explicit JsonWriter(const Sink& sink) : sink_(sink) {}

  void open_object() { open('{'); }
  void close_object() { close('}'); }
  void open_array() { open('['); }
  void close_array() { close(']'); }
  /// The name of the next value, inside an object. Must need no escaping.
  void key(std::string_view name);

  void null() { token("null"); }
  void boolean(bool value) { token(value ? "true" : "false"); }
  void number(std::uint64_t value);
  void signed_number(std::int64_t value);
  void string(std::string_view value);
  void address(Address value);  ///< as a hex string

  // A field of the contract: name and value, where what is unknown is null.
  void text_field(std::string_view name, std::string_view value);  ///< empty: null
  void id_field(std::string_view name, const std::optional<std::string>& id);
  void number_field(std::string_view name, std::uint64_t value);
  template <std::integral T>
  void number_field(std::string_view name, const std::optional<T>& value) {
    key(name);
    if (!value) return null();
    if constexpr (std::unsigned_integral<T>) {
      number(*value);
    } else {
      signed_number(*value);
    }
  }
  void address_field(std::string_view name, const std::optional<Address>& value);
  void boolean_field(std::string_view name, bool value);

  /// Hands everything written so far to the sink. False: the reader has gone.
  bool flush();
  /// Hands it over only when much has gathered.
  bool flush_if_large() { return buffer_.size() < 65'536 || flush(); }

 private:
  void open(char bracket);
  void close(char bracket);
  void token(std::string_view text);
  void separate();

  const Sink& sink_;
  std::string buffer_;
  bool first_ = true;  ///< the next value is the first of its object or array, or follows its key
};

}  // namespace coppice::inspect
