// From where a Python stack begins to its frames with names and lines.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "inspect/python/python_chains.hpp"
#include "inspect/python/python_runtime.hpp"
#include "inspect/python/python_stack.hpp"

namespace coppice::inspect {

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
/// are left out. Thread-safety: one thread at a time.
class PythonReader {
 public:
  explicit PythonReader(PythonRuntime runtime, PythonLimits limits = {});
  ~PythonReader();
  PythonReader(PythonReader&&) noexcept;
  PythonReader& operator=(PythonReader&&) noexcept;

  const PythonRuntime& runtime() const noexcept;

  /// Gives the frames of chains their names and lines. Same order. Never fails as a whole: see
  /// PythonStack::error.
  std::vector<PythonStack> name_all(const Memory& memory, std::span<const PythonChain* const> chains);

  /// Reads the chains first.
  std::vector<PythonStack> read_all(const Memory& memory, std::span<const PythonRequest> requests);

  PythonStack read(const Memory& memory, const PythonRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coppice::inspect
