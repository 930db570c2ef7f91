#include "inspect/snapshot/origins.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "inspect/memory/cached_memory.hpp"
#include "inspect/python/python_callable.hpp"
#include "inspect/python/python_dict.hpp"
#include "inspect/python/python_objects.hpp"
#include "inspect/python/python_repr.hpp"

namespace coppice::inspect {
namespace {

// gevent/_greenlet.pxd: args, kwargs, spawning_greenlet (a weak reference) and spawning_stack stand in this
// order; where they begin depends on how large greenlet's own part is. spawning_stack is told by its type,
// the others by standing before it and being what they must be. The last field is what minimal_ident gives.
constexpr std::uint64_t first_field = 0x10, largest_greenlet = 0x200;
constexpr std::size_t args_before = 3, kwargs_before = 2, spawner_before = 1;
/// Of gevent's _Frame: f_code, f_lineno (an int of C), f_back.
constexpr std::uint64_t frame_code = 0x10, frame_line = 0x18, frame_back = 0x20;
/// PyWeakReference: wr_object.
constexpr std::uint64_t reference_object = 0x10;

constexpr std::size_t most_frames = 32, most_arguments = 8, most_attributes = 64, longest_name = 200;
constexpr ReprLimits argument_limits = {.length = 80, .characters = 40, .items = 4, .depth = 1};

class OriginReader {
 public:
  OriginReader(const Memory& memory, const PythonRuntime& python) : memory_(memory), python_(python) {}

  struct Found {
    Origin origin;
    Address spawner = 0;  ///< 0: gone
  };

  std::optional<Found> read(Address greenlet) {
    const std::vector<Address> fields = fields_of(greenlet);
    const auto is_stack = [this](Address field) { return type_name(field) == stack_type; };
    const auto stack = std::ranges::find_if(fields, is_stack);
    if (stack == fields.end() || stack - fields.begin() < static_cast<std::ptrdiff_t>(args_before)) {
      return std::nullopt;
    }
    const Address args = *(stack - args_before), kwargs = *(stack - kwargs_before);
    const Address reference = *(stack - spawner_before);
    if (type_of(args) != python_.types.tuple || !type_name(reference).starts_with("weakref"))
      return std::nullopt;
    Found found;
    found.spawner = pointer_at(reference + reference_object);
    found.origin.arguments = arguments(args, kwargs);
    found.origin.function = function(greenlet);
    found.origin.stack = frames(*stack);
    if (type_of(fields.back()) == python_.types.integer) {
      const auto number = read_python_integer(memory_, python_.layout, fields.back());
      const std::int64_t ident = number.ok() ? number->value.value_or(-1) : -1;
      if (ident >= 0) found.origin.minimal_ident = static_cast<std::uint64_t>(ident);
    }
    return found;
  }

 private:
  static constexpr std::string_view stack_type = "gevent._gevent_cgreenlet._Frame";

  /// 0 when it cannot be read.
  Address pointer_at(Address address) const {
    const auto pointer = memory_.read_value<Address>(address);
    return pointer.ok() ? *pointer : 0;
  }

  Address type_of(Address object) const {
    const bool possible = object != 0 && object % sizeof(Address) == 0;
    return possible ? pointer_at(object + PythonLayout::object_type) : 0;
  }

  std::string_view type_name(Address object) {
    const Address type = type_of(object);
    if (type == 0) return {};
    const auto [known, is_new] = type_names_.try_emplace(type);
    if (is_new) {
      known->second = c_string(pointer_at(type + PythonLayout::type_name));
    }
    return known->second;
  }

  std::vector<Address> fields_of(Address object) const {
    const auto size = memory_.read_value<std::uint64_t>(type_of(object) + PythonLayout::type_basic_size);
    if (!size.ok() || *size <= first_field || *size > largest_greenlet) return {};
    std::vector<Address> fields(static_cast<std::size_t>((*size - first_field) / sizeof(Address)));
    if (!memory_.read(object + first_field, std::as_writable_bytes(std::span(fields))).ok()) return {};
    return fields;
  }

  std::string c_string(Address address) const {
    auto string = memory_.read_string(address, longest_name);
    return string.ok() ? *std::move(string) : std::string();
  }

  std::string text(Address string) const {
    if (type_of(string) != python_.types.string) return {};
    auto text = read_python_string(memory_, python_.layout, string, longest_name);
    return text.ok() ? std::move(text->utf8) : std::string();
  }

  /// The str that a field of a code object refers to.
  std::string text_of(Address code, std::uint64_t offset) const { return text(pointer_at(code + offset)); }

  std::string code_name(Address code) const {
    const auto& layout = python_.layout.code;
    return text_of(code, layout.qualified_name != 0 ? layout.qualified_name : layout.name);
  }

  std::vector<Frame> frames(Address frame) {
    std::vector<Frame> frames;
    while (frames.size() < most_frames && type_name(frame) == stack_type) {
      const Address code = pointer_at(frame + frame_code);
      const auto line = memory_.read_value<std::int32_t>(frame + frame_line);
      if (!line.ok() || type_of(code) != python_.types.code) break;
      Frame& made = frames.emplace_back();
      made.kind = Frame::Kind::python;
      made.function = code_name(code);
      made.file = text_of(code, python_.layout.code.file);
      made.line = *line > 0 ? static_cast<std::uint32_t>(*line) : 0;
      frame = pointer_at(frame + frame_back);
    }
    return frames;
  }

  std::string function(Address greenlet) {
    const auto attributes = read_python_attributes(memory_, python_.layout, greenlet, most_attributes);
    if (!attributes.ok()) return {};
    for (const auto& [name, value] : attributes->items) {
      if (text(name) == "_run") return python_callable(memory_, python_.layout, value);
    }
    return {};
  }

  std::string arguments(Address args, Address kwargs) const {
    std::vector<std::string> all;
    bool cut = false;
    const auto repr = [this](Address object) {
      return python_repr(memory_, python_, object, argument_limits);
    };
    if (const auto items = read_python_tuple(memory_, python_.layout, args, std::size_t{1} << 16U);
        items.ok()) {
      cut = items->size() > most_arguments;
      for (const Address item : std::span(*items).first(std::min(items->size(), most_arguments))) {
        all.push_back(repr(item));
      }
    }
    if (type_of(kwargs) == python_.types.dictionary) {
      const auto named = read_python_dict(memory_, python_.layout, kwargs, most_arguments);
      cut = cut || (named.ok() && named->size > named->items.size());
      for (const auto& [name, value] :
           named.ok() ? named->items : std::vector<std::pair<Address, Address>>()) {
        all.push_back(text(name) + "=" + repr(value));
      }
    }
    if (cut) all.emplace_back("…");
    std::string joined;
    for (const std::string& one : all) joined += (joined.empty() ? "" : ", ") + one;
    return joined;
  }

  const Memory& memory_;
  const PythonRuntime& python_;
  std::unordered_map<Address, std::string> type_names_;
};

}  // namespace

void read_origins(const Memory& memory, const PythonRuntime& python, std::span<SnapshotGreenlet> greenlets) {
  std::unordered_map<Address, const std::string*> ids;
  for (const SnapshotGreenlet& entry : greenlets) ids.emplace(entry.greenlet.address, &entry.greenlet.id);
  const CachedMemory cached(memory);
  OriginReader reader(cached, python);
  for (SnapshotGreenlet& entry : greenlets) {
    if (!entry.chosen || entry.greenlet.provider != "cpython") continue;
    auto found = reader.read(entry.greenlet.address);
    if (!found) continue;
    entry.origin = std::move(found->origin);
    if (const auto spawner = ids.find(found->spawner); spawner != ids.end()) {
      entry.greenlet.spawner = *spawner->second;
    }
  }
}

}  // namespace coppice::inspect
