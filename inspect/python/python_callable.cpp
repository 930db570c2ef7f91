#include "inspect/python/python_callable.hpp"

#include <algorithm>

#include "inspect/python/python_objects.hpp"

namespace coppice::inspect {
namespace {

/// PyMethodObject: im_func. PyCFunctionObject: m_ml.
constexpr std::uint64_t method_function = 0x10, builtin_definition = 0x10;
constexpr std::size_t longest_name = 200;

class CallableReader {
 public:
  CallableReader(const Memory& memory, const PythonLayout& layout) : memory_(memory), layout_(layout) {}

  std::string name(Address object) const {
    std::string type = type_name(object);
    if (type == "method") {
      object = pointer_at(object + method_function);
      type = type_name(object);
    }
    if (type == "function") return code_name(pointer_at(object + layout_.function_code));
    // Cython's functions begin like built-in ones; so do those of the next version, or this is no name.
    const bool builtin = type == "builtin_function_or_method" || type.ends_with("cython_function_or_method");
    std::string text =
        builtin ? c_string(pointer_at(pointer_at(object + builtin_definition))) : std::string();
    const bool sensible = std::ranges::all_of(text, [](char c) {
      return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    if (sensible && !text.empty()) return text;
    return type.empty() ? std::string() : "<" + type + ">";
  }

 private:
  /// 0 when it cannot be read.
  Address pointer_at(Address address) const {
    const auto pointer = memory_.read_value<Address>(address);
    return pointer.ok() ? *pointer : 0;
  }

  std::string c_string(Address address) const {
    auto string = memory_.read_string(address, longest_name);
    return string.ok() ? *std::move(string) : std::string();
  }

  std::string type_name(Address object) const {
    if (object == 0 || object % sizeof(Address) != 0) return {};
    return c_string(pointer_at(pointer_at(object + PythonLayout::object_type) + PythonLayout::type_name));
  }

  std::string code_name(Address code) const {
    if (type_name(code) != "code") return {};
    const auto& fields = layout_.code;
    const Address text =
        pointer_at(code + (fields.qualified_name != 0 ? fields.qualified_name : fields.name));
    if (type_name(text) != "str") return {};
    auto read = read_python_string(memory_, layout_, text, longest_name);
    return read.ok() ? std::move(read->utf8) : std::string();
  }

  const Memory& memory_;
  const PythonLayout& layout_;
};

}  // namespace

std::string python_callable(const Memory& memory, const PythonLayout& layout, Address object) {
  return CallableReader(memory, layout).name(object);
}

}  // namespace coppice::inspect
