// The greenlet that a thread runs: its stacks are where the thread's registers and its PyThreadState say.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "inspect/greenlets/cpython_copied.hpp"
#include "inspect/python/python_chains.hpp"
#include "inspect/python/python_threads.hpp"

namespace coppice::inspect {

/// Copies the stacks of running greenlets, each by itself while its thread does not run. Thread-safety: one
/// thread at a time.
class RunningGreenletCopier {
 public:
  /// `python`: the threads of the interpreter. All must outlive the object.
  RunningGreenletCopier(const Target& target, const CpythonGreenlets& what, const CpythonLimits& limits,
                        const std::vector<PythonThread>& python);

  /// Fills in what `copied` has on the C stack and its Python frames, or why that cannot be had. `still`: the
  /// threads that do not run; null: only those whose registers can be had without stopping anything.
  /// `frames_left`: how many Python frames may be read, which they are taken off.
  void copy(CopiedGreenlet& copied, const GreenletStates& states, const Target::StillThreads* still,
            std::size_t& frames_left);

 private:
  void copy_held(CopiedGreenlet& copied, const GreenletThread& thread, const Registers& registers,
                 std::size_t& frames_left);
  void read_chain(Greenlet& greenlet, pid_t tid, std::size_t& frames_left);

  const Target& target_;
  const Memory& memory_;
  const CpythonGreenlets& what_;
  const CpythonLimits& limits_;
  const std::vector<PythonThread>& python_;
  std::optional<PythonChains> chain_;  ///< none: CPython is not known
};

}  // namespace coppice::inspect
