// Where CPython keeps what: the offsets of one version, all in one table.
//
// Source: offsetof() compiled against each version's own internal headers (Include/internal/pycore_frame.h,
// pycore_interp.h, pycore_runtime.h, cpython/code.h, cpython/pystate.h, ...)
// for 3.8.18, 3.9.18, 3.10.13, 3.11.2, 3.11.7, 3.12.1, 3.13.0, 3.14.8 and 3.15.0, x86-64, with the GIL.
// From 3.13 on the interpreter publishes part of it
// (_Py_DebugOffsets); python_runtime.cpp holds the two together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace coppice::inspect {

/// The version of a CPython.
struct PythonVersion {
  std::uint32_t hex = 0;  ///< as PY_VERSION_HEX: 0x030b02f0 is 3.11.2

  unsigned major() const noexcept { return hex >> 24U; }
  unsigned minor() const noexcept { return hex >> 16U & 0xffU; }
  unsigned micro() const noexcept { return hex >> 8U & 0xffU; }
  /// "3.11.2", "3.14.0rc2".
  std::string text() const;
};

/// How the line numbers of a code object are written down.
enum class LineTable : std::uint8_t {
  lnotab,     ///< 3.8 and 3.9: co_lnotab
  ranges,     ///< 3.10: co_linetable, PEP 626
  locations,  ///< 3.11 and newer: co_linetable, PEP 657
};

/// What a frame is.
enum class FrameKind : std::uint8_t {
  frame_object,  ///< until 3.10: a PyFrameObject in the heap
  marked,        ///< 3.11: an _PyInterpreterFrame that says whether it is an entry
  entry_frames,  ///< 3.12 and newer: the same, with a frame of the evaluator's own on the C stack
};

/// Where an instance keeps its attributes when its type has no tp_dictoffset (Include/internal/
/// pycore_object.h). The dict itself is at -0x18 once somebody asked for it.
enum class ManagedDict : std::uint8_t {
  none,      ///< until 3.10
  separate,  ///< 3.11: a pointer to the values at -0x20
  tagged,    ///< 3.12: the pointer at -0x18 is to the values when it is odd (then one byte before them)
  embedded,  ///< 3.13 and newer: the values follow the instance
};

/// PyDictKeysObject (Objects/dict-common.h until 3.10, then Include/internal/pycore_dict.h) and the values of
/// a dictionary that shares its keys.
struct DictLayout {
  bool sized_by_log = false;  ///< from 3.11: sizes are logarithms, and entries of str keys have no hash
  std::uint16_t values = 0;   ///< where the values of a split dictionary begin
  ManagedDict managed = ManagedDict::none;
};

/// Offsets in bytes from the start of each structure. 0 where a version has no such field (every field that
/// may lie at 0 does so in every version that has it).
struct PythonLayout {
  LineTable line_table = LineTable::locations;
  FrameKind frame_kind = FrameKind::entry_frames;

  struct {
    std::uint16_t interpreters_head;
  } runtime{};
  struct {
    std::uint16_t next, id, threads_head;
  } interpreter{};
  struct {
    std::uint16_t next, interp, thread_id, native_thread_id;
    std::uint16_t frame;           ///< 3.8 to 3.10: PyFrameObject*; 3.13 and newer: _PyInterpreterFrame*
    std::uint16_t cframe;          ///< 3.11 and 3.12: _PyCFrame*, on the C stack, which knows the frame
    std::uint16_t cframe_current;  ///< in _PyCFrame
  } thread{};

  /// PyFrameObject.
  struct {
    std::uint16_t back;    ///< until 3.10
    std::uint16_t code;    ///< until 3.10
    std::uint16_t last;    ///< f_lasti, until 3.10 (int; in code units in 3.10, in bytes before)
    std::uint16_t locals;  ///< f_localsplus, until 3.10
    std::uint16_t frame;   ///< f_frame, from 3.11
    std::uint16_t
        real_previous;  ///< _f_frame_data[0], where greenlet 3.0.3 and newer keep what they replaced
  } frame_object{};

  /// _PyInterpreterFrame, from 3.11.
  struct {
    std::uint16_t size;
    std::uint16_t code, previous, frame_object, instruction;
    std::uint16_t is_entry;  ///< 3.11 only (bool)
    std::uint16_t owner;     ///< (char)
    std::uint16_t locals;
  } frame{};

  /// PyCodeObject.
  struct {
    std::uint16_t size;   ///< of everything that is read of it
    std::uint16_t units;  ///< ob_size: number of code units, from 3.11 on
    std::uint16_t first_line;
    std::uint16_t file, name, qualified_name, line_table;
    std::uint16_t first_traceable;  ///< int: a frame that is before this code unit is not complete
    std::uint16_t instructions;     ///< from 3.11: where the code units begin
    std::uint16_t local_names;      ///< tuple: co_varnames, from 3.11 co_localsplusnames with all three
    std::uint16_t cell_names;       ///< tuple: co_cellvars, until 3.10
    std::uint16_t free_names;       ///< tuple: co_freevars, until 3.10
    std::uint16_t local_kinds;      ///< from 3.11: co_localspluskinds
  } code{};

  DictLayout dict;
  std::uint16_t type_cached_keys = 0;  ///< PyHeapTypeObject: ht_cached_keys
  std::uint16_t coroutine_name = 0;    ///< PyCoroObject: cr_qualname
  std::uint16_t function_code = 0;     ///< PyFunctionObject: func_code
  std::uint16_t ascii_data = 0;        ///< of a compact ASCII str
  std::uint16_t compact_data = 0;      ///< of another compact str
  std::uint16_t legacy_data = 0;       ///< pointer to the characters of a str that is not compact
  std::uint16_t tuple_items = 0;
  bool new_long = false;  ///< from 3.12 on an int has lv_tag instead of a signed ob_size

  /// Owners of frames from here on are entry frames of the evaluator.
  static constexpr std::uint8_t first_entry_owner = 3;
  static constexpr std::uint8_t generator_owner = 1;

  // The same in every version with the GIL.
  static constexpr std::uint16_t object_type = 0x08;
  static constexpr std::uint16_t variable_size = 0x10;
  static constexpr std::uint16_t string_length = 0x10;
  static constexpr std::uint16_t string_state = 0x20;
  static constexpr std::uint16_t bytes_data = 0x20;
  static constexpr std::uint16_t list_items = 0x18;
  static constexpr std::uint16_t float_value = 0x10;
  static constexpr std::uint16_t type_name = 0x18;
  static constexpr std::uint16_t type_basic_size = 0x20;
  static constexpr std::uint16_t type_flags = 0xa8;
  static constexpr std::uint16_t type_dict = 0x108;
  static constexpr std::uint16_t type_dict_offset = 0x120;
  static constexpr std::uint16_t type_mro = 0x158;
};

/// The layout of a version; none for one this program does not know (the micro version does not matter).
std::optional<PythonLayout> python_layout(PythonVersion version);

}  // namespace coppice::inspect
