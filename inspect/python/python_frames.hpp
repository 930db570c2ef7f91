// From where a Python stack begins to its frames with names and lines.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/python_runtime.hpp"
#include "inspect/python/python_stack.hpp"
#include "inspect/python/python_threads.hpp"

namespace coppice::inspect {

/// One Python stack to be read. What `stack` spans must stay until the reading is done.
struct PythonRequest {
  /// Of a greenlet that is suspended. What it has of its stack is taken from `greenlet.stack`.
  static PythonRequest of_greenlet(const Greenlet& greenlet);
  /// Of what a thread runs: the Python stack of its running greenlet. `stack`: bytes of the C stack from
  /// `stack_start` on that were copied together with the thread's registers; may be empty.
  static PythonRequest of_thread(const PythonThread& thread, Address stack_start = 0,
                                 std::span<const std::byte> stack = {});

  PythonPosition position;
  std::optional<Error> error;  ///< why the position is not known: the stack is empty, with this error
  /// The greenlet is suspended, so that greenlet 3.0.3 and newer may have linked its frames anew
  /// ("exposed" them), which is undone here.
  bool suspended = false;
  Address stack_start = 0;  ///< its C stack: reads in [stack_start, stack_stop) never reach the target
  Address stack_stop = 0;
  std::span<const std::byte> stack;  ///< the bytes from stack_start on, as many as there are
};

/// How much is read at most, whatever the target says.
struct PythonLimits {
  std::size_t frames = std::size_t{1} << 16U;      ///< of one stack
  std::size_t all_frames = std::size_t{1} << 22U;  ///< of one read_all
  std::size_t name = 512;                          ///< code points of a function's name
  std::size_t file = 4096;                         ///< code points of a file's name
  std::size_t line_table = std::size_t{1} << 22U;  ///< bytes
  std::size_t codes = std::size_t{1} << 18U;       ///< code objects remembered
};

/// Reads Python stacks of one interpreter. Remembers names and line tables of code objects from one reading
/// to the next, and looks each time whether a code object is still what it was.
///
/// Frames are shown as CPython shows them: those it has not begun yet ("incomplete") and the evaluator's own
/// are left out. Whatever the memory says, chains end: at `frames`, or where they turn in circles.
/// Thread-safety: one thread at a time.
class PythonReader {
 public:
  explicit PythonReader(PythonRuntime runtime, PythonLimits limits = {});
  ~PythonReader();
  PythonReader(PythonReader&&) noexcept;
  PythonReader& operator=(PythonReader&&) noexcept;

  const PythonRuntime& runtime() const noexcept;

  /// Reads many stacks at once, which is what makes it fast: in each round one batch of reads takes every
  /// stack a step further. Same order as `requests`. Never fails as a whole: see PythonStack::error.
  std::vector<PythonStack> read_all(const Memory& memory, std::span<const PythonRequest> requests);

  PythonStack read(const Memory& memory, const PythonRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coppice::inspect
