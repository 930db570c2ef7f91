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
  python.types.code = type_objects;
  python.types.string = type_objects + 0x1000;
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
    memory.put(frame, std::vector<std::byte>(0x70));
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
