#include "inspect/python/python_layout.hpp"

#include <fmt/format.h>

#include <array>

namespace coppice::inspect {
namespace {

constexpr PythonLayout until_3_10() {
  PythonLayout layout;
  layout.line_table = LineTable::lnotab;
  layout.frame_kind = FrameKind::frame_object;
  layout.runtime = {.interpreters_head = 0x20};
  layout.interpreter = {.next = 0, .id = 0x18, .threads_head = 0x08};
  layout.thread = {.next = 0x08,
                   .interp = 0x10,
                   .thread_id = 0xb0,
                   .native_thread_id = 0,
                   .frame = 0x18,
                   .cframe = 0,
                   .cframe_current = 0};
  layout.frame_object = {
      .back = 0x18, .code = 0x20, .last = 0x68, .locals = 0x168, .frame = 0, .real_previous = 0};
  layout.code = {.size = 0x80,
                 .units = 0,
                 .first_line = 0x28,
                 .file = 0x68,
                 .name = 0x70,
                 .qualified_name = 0,
                 .line_table = 0x78,
                 .first_traceable = 0,
                 .instructions = 0,
                 .local_names = 0x48,
                 .cell_names = 0x58,
                 .free_names = 0x50,
                 .local_kinds = 0};
  layout.type_cached_keys = 0x360;
  layout.coroutine_name = 0x38;
  layout.function_code = 0x10;
  layout.ascii_data = 0x30;
  layout.compact_data = 0x48;
  layout.legacy_data = 0x48;
  layout.tuple_items = 0x18;
  return layout;
}

constexpr PythonLayout layout_3_8() {
  PythonLayout layout = until_3_10();
  layout.interpreter.id = 0x10;
  layout.type_cached_keys = 0x368;
  return layout;
}

constexpr PythonLayout layout_3_10() {
  PythonLayout layout = until_3_10();
  layout.line_table = LineTable::ranges;
  layout.frame_object.last = 0x60;
  layout.frame_object.locals = 0x160;
  layout.type_cached_keys = 0x368;
  layout.coroutine_name = 0x30;
  layout.function_code = 0x30;
  return layout;
}

constexpr PythonLayout layout_3_11() {
  PythonLayout layout = until_3_10();
  layout.line_table = LineTable::locations;
  layout.frame_kind = FrameKind::marked;
  layout.runtime = {.interpreters_head = 0x28};
  layout.interpreter = {.next = 0, .id = 0x30, .threads_head = 0x10};
  layout.thread = {.next = 0x08,
                   .interp = 0x10,
                   .thread_id = 0x98,
                   .native_thread_id = 0xa0,
                   .frame = 0,
                   .cframe = 0x38,
                   .cframe_current = 0x08};
  layout.frame_object = {.back = 0, .code = 0, .last = 0, .locals = 0, .frame = 0x18, .real_previous = 0x30};
  layout.frame = {.size = 0x48,
                  .code = 0x20,
                  .previous = 0x30,
                  .frame_object = 0x28,
                  .instruction = 0x38,
                  .is_entry = 0x44,
                  .owner = 0x45,
                  .locals = 0x48};
  layout.code = {.size = 0xb8,
                 .units = 0x10,
                 .first_line = 0x48,
                 .file = 0x70,
                 .name = 0x78,
                 .qualified_name = 0x80,
                 .line_table = 0x88,
                 .first_traceable = 0xa8,
                 .instructions = 0xb8,
                 .local_names = 0x60,
                 .cell_names = 0,
                 .free_names = 0,
                 .local_kinds = 0x68};
  layout.dict = {.sized_by_log = true, .values = 0, .managed = ManagedDict::separate};
  layout.type_cached_keys = 0x368;
  layout.coroutine_name = 0x28;
  layout.function_code = 0x30;
  return layout;
}

constexpr PythonLayout layout_3_12() {
  PythonLayout layout = layout_3_11();
  layout.frame_kind = FrameKind::entry_frames;
  layout.interpreter = {.next = 0, .id = 0x08, .threads_head = 0x48};
  layout.thread.thread_id = 0x88;
  layout.thread.native_thread_id = 0x90;
  layout.thread.cframe_current = 0;
  layout.frame = {.size = 0x48,
                  .code = 0,
                  .previous = 0x08,
                  .frame_object = 0x30,
                  .instruction = 0x38,
                  .is_entry = 0,
                  .owner = 0x46,
                  .locals = 0x48};
  layout.code.size = 0xc0;
  layout.code.first_line = 0x44;
  layout.code.first_traceable = 0xb0;
  layout.code.instructions = 0xc0;
  layout.ascii_data = 0x28;
  layout.compact_data = 0x38;
  layout.legacy_data = 0x38;
  layout.new_long = true;
  layout.dict.managed = ManagedDict::tagged;
  layout.type_cached_keys = 0x370;
  layout.coroutine_name = 0x20;
  return layout;
}

constexpr PythonLayout layout_3_13() {
  PythonLayout layout = layout_3_12();
  layout.runtime = {.interpreters_head = 0x278};
  layout.interpreter = {.next = 0x1c60, .id = 0x1c68, .threads_head = 0x1cb0};
  layout.thread = {.next = 0x08,
                   .interp = 0x10,
                   .thread_id = 0x98,
                   .native_thread_id = 0xa0,
                   .frame = 0x48,
                   .cframe = 0,
                   .cframe_current = 0};
  layout.frame_object.real_previous = 0x40;
  layout.dict.values = 0x08;
  layout.dict.managed = ManagedDict::embedded;
  layout.code.size = 0xc8;
  layout.code.first_traceable = 0xb8;
  layout.code.instructions = 0xc8;
  return layout;
}

constexpr PythonLayout layout_3_14() {
  PythonLayout layout = layout_3_13();
  layout.runtime = {.interpreters_head = 0x328};
  layout.interpreter = {.next = 0x1c68, .id = 0x1c70, .threads_head = 0x1cb0};
  layout.frame_object.real_previous = 0x48;
  layout.frame.size = 0x50;
  layout.frame.owner = 0x4a;
  layout.frame.locals = 0x50;
  layout.code.size = 0xd0;
  layout.code.first_traceable = 0xc0;
  layout.code.instructions = 0xd0;
  layout.tuple_items = 0x20;
  return layout;
}

constexpr PythonLayout layout_3_15() {
  PythonLayout layout = layout_3_14();
  layout.runtime = {.interpreters_head = 0x3a8};
  layout.interpreter = {.next = 0x1c60, .id = 0x1c68, .threads_head = 0x1ca8};
  layout.thread.thread_id = 0xb0;
  layout.thread.native_thread_id = 0xb8;
  return layout;
}

constexpr unsigned first_minor = 8;
constexpr std::array layouts = {layout_3_8(),  until_3_10(),  layout_3_10(), layout_3_11(),
                                layout_3_12(), layout_3_13(), layout_3_14(), layout_3_15()};

}  // namespace

std::string PythonVersion::text() const {
  std::string text = fmt::format("{}.{}.{}", major(), minor(), micro());
  const unsigned serial = hex & 0xfU;
  switch (hex >> 4U & 0xfU) {
    case 0xa:
      return text + fmt::format("a{}", serial);
    case 0xb:
      return text + fmt::format("b{}", serial);
    case 0xc:
      return text + fmt::format("rc{}", serial);
    default:
      return text;
  }
}

std::optional<PythonLayout> python_layout(PythonVersion version) {
  const unsigned number = version.minor() - first_minor;
  if (version.major() != 3 || version.minor() < first_minor || number >= layouts.size()) return std::nullopt;
  return layouts[number];
}

}  // namespace coppice::inspect
