#include "tests/python/fake_python.hpp"

#include <array>
#include <cstring>

#include "inspect/python/pthread_x86_64.hpp"

namespace coppice::inspect::testing {
namespace {

constexpr std::uint32_t units = 20;
constexpr std::int32_t last_unit = 10;

/// A line table that puts all code units into the line after the first one.
std::vector<std::uint8_t> line_table(LineTable kind) {
  switch (kind) {
    case LineTable::lnotab:
      return {0, 1};
    case LineTable::ranges:
      return {2 * units, 1};
    case LineTable::locations:
      break;
  }
  // kind 13 (no columns): 8 code units and the step 1 (as a signed number 2), then twice with the step 0.
  return {0x80 | 13 << 3 | 7, 2, 0x80 | 13 << 3 | 7, 0, 0x80 | 13 << 3 | 3, 0};
}

}  // namespace

/// Where the frames of one chain lie, and whether greenlet has linked them anew.
struct FakePython::Chain {
  Address frames = 0;
  Address entry_frames = 0;   ///< 0x100 bytes for each, on a C stack
  Address frame_objects = 0;  ///< 0: not exposed
};

FakePython::FakePython(unsigned minor) {
  python.version.hex = 3U << 24U | minor << 16U | 5U << 8U | 0xf0U;
  python.runtime = runtime;
  python.layout = *python_layout(python.version);
  Address next_type = type_objects;
  for (Address* type :
       {&python.types.code, &python.types.string, &python.types.bytes, &python.types.integer,
        &python.types.boolean, &python.types.floating, &python.types.tuple, &python.types.list,
        &python.types.dictionary, &python.types.cell, &python.types.none}) {
    *type = next_type += 0x200;
  }
  put_code(0, U"Class.inner", U"/srv/inner.py", 10);
  put_code(1, U"m\u00efddle", U"/srv/m.py", 20);
  put_code(2, U"<not begun>", U"/srv/hidden.py", 30);
  put_code(3, U"\u03bfuter", U"/srv/\U0001f40d.py", 40, true);
  stack.assign(stack_stop - stack_start, std::byte{0});
  if (python.layout.frame_kind == FrameKind::frame_object) {
    put_frame_objects(frames);
    put_frame_objects(thread_frames);
    position.top_frame = frames;
  } else {
    put_frames({frames, stack_start + 0x100, frame_objects});
    put_frames({thread_frames, thread_stack, 0});
    position.top_frame = frame_objects;
    position.current_frame = frames;
  }
  put_objects();
  put_interpreters();
  target.memory_ = &memory;
}

FakePython::FakePython(const FakePython& other)
    : memory(other.memory),
      target(other.target),
      python(other.python),
      stack(other.stack),
      position(other.position) {
  target.memory_ = &memory;
}

PythonRequest FakePython::request() const {
  PythonRequest request;
  request.position = position;
  request.suspended = true;
  request.stack_start = stack_start;
  request.stack_stop = stack_stop;
  request.stack = stack;
  return request;
}

void FakePython::put_word(Address at, std::uint64_t value) {
  if (at >= stack_start && at < stack_stop) {
    std::memcpy(stack.data() + (at - stack_start), &value, sizeof value);
  } else {
    memory.put_value(at, value);
  }
}

Address FakePython::put_string(Address at, std::u32string_view text, unsigned width) {
  bool ascii = width == 1;
  for (const char32_t c : text) ascii = ascii && c < 0x80;
  memory.put(at, std::vector<std::byte>(python.layout.compact_data));
  put_word(at + PythonLayout::object_type, python.types.string);
  put_word(at + PythonLayout::string_length, text.size());
  put_word(at + PythonLayout::string_state, 1U << 5U | width << 2U | (ascii ? 1U << 6U : 0));
  const Address data = at + (ascii ? python.layout.ascii_data : python.layout.compact_data);
  std::vector<std::byte> bytes;
  for (const char32_t c : text) {
    for (unsigned byte = 0; byte < width; ++byte) bytes.push_back(static_cast<std::byte>(c >> 8U * byte));
  }
  memory.put(data, bytes);
  return at;
}

void FakePython::put_code(std::size_t number, std::u32string_view name, std::u32string_view file,
                          std::int32_t first_line, bool wide) {
  const auto& offsets = python.layout.code;
  const Address at = code(number);
  memory.put(at, std::vector<std::byte>(offsets.size));
  put_word(at + PythonLayout::object_type, python.types.code);
  if (offsets.units != 0) {
    put_word(at + offsets.units, units);
    memory.put_value(at + offsets.first_traceable, std::int32_t{2});
  }
  memory.put_value(at + offsets.first_line, first_line);
  put_word(at + offsets.file, put_string(at + 0x400, file, wide ? 4 : 1));
  const Address name_at = put_string(at + 0x800, name, wide ? 2 : 1);
  put_word(at + offsets.name, name_at);
  if (offsets.qualified_name != 0) put_word(at + offsets.qualified_name, name_at);
  const std::vector<std::uint8_t> table = line_table(python.layout.line_table);
  const Address table_at = at + 0xc00;
  put_word(at + offsets.line_table, table_at);
  put_word(table_at + PythonLayout::variable_size, table.size());
  memory.put(table_at + PythonLayout::bytes_data, std::as_bytes(std::span(table)));
}

void FakePython::put_frame_objects(Address at) {
  const auto& offsets = python.layout.frame_object;
  const std::array<std::size_t, 3> shown = {0, 1, 3};
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const Address frame = at + i * per_frame;
    memory.put(frame, std::vector<std::byte>(offsets.locals));
    put_word(frame + offsets.back, i + 1 < shown.size() ? frame + per_frame : 0);
    put_word(frame + offsets.code, code(shown[i]));
    memory.put_value(frame + offsets.last,
                     python.layout.line_table == LineTable::ranges ? last_unit : 2 * last_unit);
  }
}

/// inner, middle, the one that has not begun, outer; from 3.12 on each but the first with an entry frame
/// behind it.
void FakePython::put_frames(const Chain& chain) {
  const auto& offsets = python.layout.frame;
  const bool entry_frames = python.layout.frame_kind == FrameKind::entry_frames;
  constexpr std::size_t count = 4;
  for (std::size_t i = 0; i < count; ++i) {
    const Address frame = chain.frames + i * per_frame;
    const Address next = i + 1 < count ? frame + per_frame : 0;
    const Address entry = chain.entry_frames + i * 0x100;
    const bool is_entry = i != 0;
    memory.put(frame, std::vector<std::byte>(offsets.size));
    put_word(frame + offsets.code, code(i) | (minor() >= 14 ? 1 : 0));
    const bool begun = i != 2;
    put_word(frame + offsets.instruction,
             code(i) + python.layout.code.instructions + (begun ? 2 * last_unit : 0));
    const Address real_previous = entry_frames && is_entry ? entry : next;
    put_word(frame + offsets.previous, real_previous);
    if (!entry_frames) memory.put_value(frame + offsets.is_entry, static_cast<std::uint8_t>(is_entry));
    if (entry_frames && is_entry) {
      put_word(entry + offsets.previous, next);
      put_word(entry + (offsets.owner & ~7U), std::uint64_t{3} << 8U * (offsets.owner & 7U));
      for (std::size_t at = 0; at < offsets.size; at += 8) {
        if (at != offsets.previous && at != (offsets.owner & ~7U)) put_word(entry + at, 0);
      }
    }
    if (chain.frame_objects == 0 || !begun) continue;
    const Address object = chain.frame_objects + i * per_frame;
    memory.put(object, std::vector<std::byte>(0x60));
    put_word(object + python.layout.frame_object.frame, frame);
    put_word(frame + offsets.frame_object, object);
    if (!entry_frames) continue;
    put_word(object + python.layout.frame_object.real_previous, real_previous);
    const Address shown_next = i == 0 ? next : i == 1 ? frame + 2 * per_frame : 0;
    put_word(frame + offsets.previous, shown_next);
  }
}

/// The object in that place: type and the words after it.
Address FakePython::put_object(std::size_t number, Address type, std::initializer_list<std::uint64_t> words) {
  const Address at = objects + number * 0x100;
  memory.put(at, std::vector<std::byte>(0x100));
  put_word(at + PythonLayout::object_type, type);
  Address next = at + PythonLayout::variable_size;
  for (const std::uint64_t word : words) {
    put_word(next, word);
    next += sizeof word;
  }
  return at;
}

void FakePython::put_objects() {
  constexpr std::uint64_t one_digit = 1, tag_of_one_digit = 1 << 3;
  const PythonTypes& types = python.types;
  const std::uint64_t size = python.layout.new_long ? tag_of_one_digit : one_digit;
  const Address text = put_string(put_object(0, types.string, {}), U"snake", 1);
  put_object(1, types.bytes, {2, 0, 0x6100});
  const Address number = put_object(2, types.integer, {size, 3});
  put_object(3, types.boolean, {size, 1});
  put_object(4, types.floating, {0x3fe0000000000000});
  const Address pair = put_object(5, types.tuple, {1});
  put_word(pair + python.layout.tuple_items, number);
  const Address items = objects + 0x2000;
  const Address many = put_object(6, types.list, {3, items});
  const std::array listed = {number, text, many};
  memory.put(items, std::as_bytes(std::span(listed)));
  const Address keys = objects + 0x2100;
  put_object(7, types.dictionary, {1, 0, keys, 0});
  memory.put(keys, std::vector<std::byte>(0x100));
  if (minor() < 11) {  // size 8, one entry; indices of 8 bytes
    put_word(keys + 0x08, 8);
    put_word(keys + 0x20, 1);
    put_word(keys + 0x38, text);
    put_word(keys + 0x40, number);
  } else {  // log2 of both sizes 3, keys are str, one entry
    put_word(keys + 0x08, 0x010303);
    put_word(keys + 0x18, 1);
    put_word(keys + 0x28, text);
    put_word(keys + 0x30, number);
  }
  const Address other_type = put_object(8, 0, {});
  const std::array<char, 6> name = {'O', 't', 'h', 'e', 'r', 0};
  put_word(other_type + PythonLayout::type_name, other_type + 0x80);
  memory.put(other_type + 0x80, std::as_bytes(std::span(name)));
  put_object(9, other_type, {});
  put_object(10, types.cell, {number});
  const bool object = python.layout.frame_kind == FrameKind::frame_object;
  put_variables(frames + (object ? python.layout.frame_object.locals : python.layout.frame.locals));
}

/// Names and slots of the variables of `inner`.
void FakePython::put_variables(Address slots) {
  const std::u32string_view names[] = {U"text", U"data", U"number", U"truth", U"real",    U"nothing",
                                       U"pair", U"many", U"table",  U"other", U"unbound", U"cell"};
  const Address values[] = {objects,
                            objects + 0x100,
                            objects + 0x200,
                            objects + 0x300,
                            objects + 0x400,
                            python.types.none,
                            objects + 0x500,
                            objects + 0x600,
                            objects + 0x700,
                            objects + 0x900,
                            0,
                            objects + 0xa00};
  const Address tuple = objects + 0x2200, empty = objects + 0x2300, strings = objects + 0x2400;
  memory.put(tuple, std::vector<std::byte>(0x100));
  memory.put(empty, std::vector<std::byte>(0x40));
  put_word(tuple + PythonLayout::variable_size, std::size(names));
  for (std::size_t i = 0; i < std::size(names); ++i) {
    const Address name = put_string(strings + i * 0x80, names[i], 1);
    put_word(tuple + python.layout.tuple_items + i * sizeof(Address), name);
    put_word(slots + i * sizeof(Address), values[i]);
  }
  const auto& offsets = python.layout.code;
  put_word(code(0) + offsets.local_names, tuple);
  for (const std::uint16_t offset : {offsets.cell_names, offsets.free_names}) {
    if (offset != 0) put_word(code(0) + offset, empty);
  }
}

void FakePython::put_interpreters() {
  const PythonLayout& layout = python.layout;
  memory.put(runtime, std::vector<std::byte>(0x1000));
  put_word(runtime + layout.runtime.interpreters_head, interpreters[0]);
  for (std::size_t i = 0; i < 2; ++i) {
    memory.put(interpreters[i], std::vector<std::byte>(0x2000));
    put_word(interpreters[i] + layout.interpreter.next, i == 0 ? interpreters[1] : 0);
    put_word(interpreters[i] + layout.interpreter.id, i);
    put_word(interpreters[i] + layout.interpreter.threads_head, i == 0 ? threads[0] : threads[2]);
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const Address thread = threads[i];
    const Address pthread = thread + 0x800;
    memory.put(thread, std::vector<std::byte>(0x1000));
    put_word(thread + layout.thread.next, i == 0 ? threads[1] : 0);
    put_word(thread + layout.thread.interp, i < 2 ? interpreters[0] : interpreters[1]);
    put_word(thread + layout.thread.thread_id, pthread);
    const pid_t tid = first_tid + static_cast<pid_t>(i);
    memory.put_value(pthread + pthread_tid_offset, tid);
    if (layout.thread.native_thread_id != 0) {
      put_word(thread + layout.thread.native_thread_id, static_cast<std::uint64_t>(tid));
    }
    target.threads_.push_back({tid, std::nullopt, "fake", false});
    const Address frame = i == 1 ? 0 : thread_frames;
    if (layout.thread.cframe != 0) {
      const Address cframe = thread_stack + 0x800 + i * 0x20;
      put_word(thread + layout.thread.cframe, cframe);
      put_word(cframe, 0);
      put_word(cframe + layout.thread.cframe_current, frame);
    } else {
      put_word(thread + layout.thread.frame, frame);
    }
  }
}

}  // namespace coppice::inspect::testing
