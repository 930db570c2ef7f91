// One listing of the C frames and the Python frames of a stack.
//
//     C frames                          Python frames       merged (innermost first)
//       epoll_wait                                            epoll_wait
//       ev_run                                                ev_run
//       _PyEval_EvalFrameDefault <----- run: f, g             f, g
//       list_sort_impl                                        (folded)
//       _PyEval_EvalFrameDefault <----- run: h                h
//       inner_bootstrap                                       (folded)
//
// A *run* is what one C call of the evaluator executes. That a run belongs to a C frame is proven by address
// where CPython leaves an entry frame on the C stack (3.12 and newer), else by there being as many of the
// ones as of the others.
#pragma once

#include <string>
#include <vector>

#include "inspect/python/python_stack.hpp"
#include "inspect/snapshot/snapshot.hpp"

namespace coppice::inspect {

/// What merging must know of an interpreter.
struct Evaluator {
  Interned module;         ///< path of the module that is the interpreter: its frames are machinery
  Address start = 0;       ///< of the exported _PyEval_EvalFrameDefault; 0: not known
  std::uint64_t size = 0;  ///< of it, in bytes; parts of it may lie elsewhere
};

/// The Python frames as views show them.
std::vector<Frame> to_frames(const PythonStack& stack);

/// Puts `python` among `entry.frames` (which are native, with their CFAs), or where that cannot be done
/// truthfully beside them (`python_frames`, `unmerged`). Sets `python_error`.
void merge_python(SnapshotGreenlet& entry, const PythonStack& python, const Evaluator& evaluator,
                  FrameChoice choice);

}  // namespace coppice::inspect
