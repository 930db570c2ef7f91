#include "inspect/python/python_locals.hpp"

#include <algorithm>

#include "inspect/python/python_objects.hpp"

namespace coppice::inspect {
namespace {

constexpr std::size_t most_names = 4096;
constexpr std::size_t longest_name = 100;
constexpr std::uint16_t cell_content = 0x10;  // PyCellObject: ob_ref

/// The tuples that name a frame's variables, in the order of their slots.
Result<std::vector<Address>> names_of(const Memory& memory, const PythonLayout& layout, Address code) {
  std::vector<Address> names;
  for (const std::uint16_t offset :
       {layout.code.local_names, layout.code.cell_names, layout.code.free_names}) {
    if (offset == 0) continue;
    const auto tuple = memory.read_value<Address>(code + offset);
    if (!tuple.ok()) return tuple.error();
    const auto some = read_python_tuple(memory, layout, *tuple, most_names);
    if (!some.ok()) return some.error();
    names.insert(names.end(), some->begin(), some->end());
  }
  return names;
}

Address without_marks(Address reference) {
  return reference & ~Address{3};  // since 3.14 references have marks
}

/// The references to a frame's variables. What it runs is read along with them: it may have returned.
Result<std::vector<Address>> slots_of(const Memory& memory, const PythonLayout& layout,
                                      const PythonFrame& frame, std::size_t count) {
  const bool object = layout.frame_kind == FrameKind::frame_object;
  const std::size_t code = (object ? layout.frame_object.code : layout.frame.code) / sizeof(Address);
  const std::size_t first = (object ? layout.frame_object.locals : layout.frame.locals) / sizeof(Address);
  std::vector<Address> words(first + count);
  if (auto done = memory.read(frame.address, std::as_writable_bytes(std::span(words))); !done.ok()) {
    return std::move(done).error();
  }
  if (without_marks(words[code]) != frame.code) {
    return Error{ErrorCode::torn, frame.address, "the function returned before its variables were read"};
  }
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(first));
  return words;
}

/// What a slot holds: the content of a cell instead of the cell.
Address value_of(const Memory& memory, const PythonRuntime& python, Address slot) {
  const Address object = without_marks(slot);
  if (object == 0 || python.types.cell == 0) return object;
  const auto type = memory.read_value<Address>(object + PythonLayout::object_type);
  if (!type.ok() || *type != python.types.cell) return object;
  const auto content = memory.read_value<Address>(object + cell_content);
  return content.ok() ? *content : object;
}

}  // namespace

PythonLocals read_python_locals(const Memory& memory, const PythonRuntime& python, const PythonFrame& frame,
                                std::size_t most, ReprLimits limits) {
  PythonLocals result;
  const PythonLayout& layout = python.layout;
  const auto names = names_of(memory, layout, frame.code);
  if (!names.ok()) {
    result.error = names.error();
    return result;
  }
  auto slots = slots_of(memory, layout, frame, names->size());
  if (!slots.ok()) {
    result.error = std::move(slots).error();
    return result;
  }
  for (std::size_t i = 0; i < slots->size(); ++i) {
    const Address value = value_of(memory, python, (*slots)[i]);
    if (value == 0) continue;
    if (result.locals.size() >= most) {
      ++result.left_out;
      continue;
    }
    auto name = read_python_string(memory, layout, (*names)[i], longest_name);
    result.locals.push_back(
        {name.ok() ? std::move(name->utf8) : std::string("?"), python_repr(memory, python, value, limits)});
  }
  return result;
}

}  // namespace coppice::inspect
