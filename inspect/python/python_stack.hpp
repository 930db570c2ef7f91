// The Python stack of one greenlet or thread, as it was read: plain data.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inspect/base/interned.hpp"
#include "inspect/base/result.hpp"

namespace coppice::inspect {

/// One variable that has a value.
struct PythonLocal {
  std::string name;
  std::string value;  ///< python_repr() of it
};

/// The local variables of a frame.
struct PythonLocals {
  std::vector<PythonLocal> locals;  ///< arguments first, then as they stand in the code
  std::size_t left_out = 0;         ///< there are more that have values
  std::optional<Error> error;       ///< why there are none: `unreadable`, `corrupt`, `torn`, `too_deep`
};

/// One Python frame.
struct PythonFrame {
  Address address = 0;     ///< of its _PyInterpreterFrame (CPython 3.11 and newer) or PyFrameObject
  Address code = 0;        ///< of its PyCodeObject
  Interned function;       ///< qualified name where the version has it, else the plain one; empty: unreadable
  Interned file;           ///< co_filename; empty: unreadable
  std::uint32_t line = 0;  ///< of the current instruction; 0: it has none, or its table makes no sense
  /// True for the outermost of the frames that one C call of the evaluator runs: its caller is C code. The
  /// frames of a stack therefore fall into runs, each ending with an `entry`, one run for each C frame of
  /// _PyEval_EvalFrameDefault. Before CPython 3.11 every frame is one.
  bool entry = false;
  /// CPython 3.12 and newer, for an `entry`: the address of the evaluator's own entry frame, which lies
  /// within [sp, CFA) of the C frame that runs this run. 0: not known.
  Address entry_frame = 0;
  std::shared_ptr<const PythonLocals> locals;  ///< null: not asked for
};

/// Python frames, innermost first.
struct PythonStack {
  std::vector<PythonFrame> frames;
  /// Why the frames end before the greenlet's base (unreadable, corrupt, a cycle, too many); none when whole.
  std::optional<Error> error;
};

}  // namespace coppice::inspect
