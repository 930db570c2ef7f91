#include "inspect/python/python_repr.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "inspect/python/python_dict.hpp"
#include "inspect/python/python_objects.hpp"

namespace coppice::inspect {
namespace {

constexpr std::string_view left_out = "…";
constexpr std::size_t longest_type_name = 100;

void append_quoted(std::string& text, std::string_view content, char quote) {
  text += quote;
  for (const char c : content) {
    if (c == quote || c == '\\') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (c == '\t') {
      text += "\\t";
    } else {
      text += c;
    }
  }
  text += quote;
}

/// As Python: the shortest text that reads back as the same number, and never like an int.
std::string float_text(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

/// Writes one object and what it contains.
class Writer {
 public:
  Writer(const Memory& memory, const PythonRuntime& python, const ReprLimits& limits)
      : memory_(memory), layout_(python.layout), types_(python.types), limits_(limits) {}

  void write(Address object, int depth) {
    if (object != 0 && object == types_.none) {
      text_ += "None";
      return;
    }
    const auto type = memory_.read_value<Address>(object + PythonLayout::object_type);
    const bool known = type.ok() && *type != 0;
    if (!known || !(write_scalar(object, *type) || write_container(object, *type, depth))) {
      if (known) {
        write_other(object, *type);
      } else {
        write_unreadable(object);
      }
    }
  }

  std::string take() { return std::move(text_); }

 private:
  /// False: it is no scalar.
  bool write_scalar(Address object, Address type) {
    if (type == types_.integer || type == types_.boolean) {
      write_integer(object, type == types_.boolean);
    } else if (type == types_.floating) {
      const auto value = memory_.read_value<double>(object + PythonLayout::float_value);
      if (!value.ok()) return write_unreadable(object);
      text_ += float_text(*value);
    } else if (type == types_.string) {
      const auto string = read_python_string(memory_, layout_, object, limits_.characters);
      if (!string.ok()) return write_unreadable(object);
      append_quoted(text_, string->utf8, '\'');
      if (string->cut) text_ += left_out;
    } else if (type == types_.bytes) {
      write_bytes(object);
    } else {
      return false;
    }
    return true;
  }

  void write_integer(Address object, bool boolean) {
    const auto integer = read_python_integer(memory_, layout_, object);
    if (!integer.ok()) {
      write_unreadable(object);
      return;
    }
    const std::optional<std::int64_t> value = integer->value;
    if (boolean) {
      text_ += value.value_or(0) != 0 ? "True" : "False";
    } else if (value) {
      text_ += fmt::format("{}", *value);
    } else {
      text_ += fmt::format("<int of up to {} bits, {}>", integer->bits,
                           integer->negative ? "negative" : "positive");
    }
  }

  void write_bytes(Address object) {
    const auto size = memory_.read_value<std::uint64_t>(object + PythonLayout::variable_size);
    if (!size.ok()) {
      write_unreadable(object);
      return;
    }
    std::vector<std::byte> bytes(
        static_cast<std::size_t>(std::min<std::uint64_t>(*size, limits_.characters)));
    bytes.resize(memory_.read_some(object + PythonLayout::bytes_data, bytes));
    text_ += "b'";
    for (const std::byte byte : bytes) {
      const auto c = std::to_integer<unsigned char>(byte);
      if (c == '\'' || c == '\\') text_ += '\\';
      text_ += c >= 0x20 && c < 0x7f ? std::string(1, static_cast<char>(c)) : fmt::format("\\x{:02x}", c);
    }
    text_ += '\'';
    if (bytes.size() < *size) text_ += left_out;
  }

  /// False: it is no container.
  bool write_container(Address object, Address type, int depth) {
    const bool tuple = type == types_.tuple;
    if (type == types_.dictionary) return write_dictionary(object, depth);
    if (!tuple && type != types_.list) return false;
    const auto size = memory_.read_value<std::uint64_t>(object + PythonLayout::variable_size);
    const auto items = tuple ? Result<Address>(object + layout_.tuple_items)
                             : memory_.read_value<Address>(object + PythonLayout::list_items);
    if (!size.ok() || !items.ok() || *size > UINT32_MAX) return write_unreadable(object);
    std::vector<Address> some(static_cast<std::size_t>(std::min<std::uint64_t>(*size, limits_.items)));
    if (!memory_.read(*items, std::as_writable_bytes(std::span(some))).ok()) return write_unreadable(object);
    text_ += tuple ? '(' : '[';
    std::size_t written = 0;
    for (; written < some.size() && may_begin(depth); ++written) {
      if (written > 0) text_ += ", ";
      write(some[written], depth - 1);
    }
    if (written < *size) text_ += written > 0 ? fmt::format(", {}", left_out) : std::string(left_out);
    if (tuple && *size == 1 && written == 1) text_ += ',';
    text_ += tuple ? ')' : ']';
    return true;
  }

  bool write_dictionary(Address object, int depth) {
    const auto dictionary = read_python_dict(memory_, layout_, object, may_begin(depth) ? limits_.items : 0);
    if (!dictionary.ok()) return write_unreadable(object);
    text_ += '{';
    std::size_t written = 0;
    for (; written < dictionary->items.size() && may_begin(depth); ++written) {
      if (written > 0) text_ += ", ";
      write(dictionary->items[written].first, depth - 1);
      text_ += ": ";
      write(dictionary->items[written].second, depth - 1);
    }
    if (written < dictionary->size)
      text_ += written > 0 ? fmt::format(", {}", left_out) : std::string(left_out);
    text_ += '}';
    return true;
  }

  void write_other(Address object, Address type) {
    const auto pointer = memory_.read_value<Address>(type + PythonLayout::type_name);
    const auto name = pointer.ok() ? memory_.read_string(*pointer, longest_type_name)
                                   : Result<std::string>(pointer.error());
    if (name.ok() && !name->empty()) {
      text_ += fmt::format("<{} at {:#x}>", *name, object);
    } else {
      write_unreadable(object);
    }
  }

  /// Always true: it has been dealt with.
  bool write_unreadable(Address object) {
    text_ += fmt::format("<unreadable at {:#x}>", object);
    return true;
  }

  bool may_begin(int depth) const { return depth > 0 && text_.size() < limits_.length; }

  const Memory& memory_;
  const PythonLayout& layout_;
  const PythonTypes& types_;
  const ReprLimits& limits_;
  std::string text_;
};

}  // namespace

std::string python_repr(const Memory& memory, const PythonRuntime& python, Address object,
                        ReprLimits limits) {
  Writer writer(memory, python, limits);
  writer.write(object, limits.depth);
  return writer.take();
}

}  // namespace coppice::inspect
