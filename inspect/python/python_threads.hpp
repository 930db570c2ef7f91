// The threads of a CPython as it knows them itself.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "inspect/python/python_runtime.hpp"

namespace coppice::inspect {

/// One PyThreadState. A thread that entered several interpreters has one in each.
struct PythonThread {
  Address address = 0;              ///< of the PyThreadState
  Address interpreter = 0;          ///< of its PyInterpreterState
  std::int64_t interpreter_id = 0;  ///< 0: the main interpreter
  Address pthread = 0;              ///< its pthread_self()
  std::optional<pid_t> native_id;  ///< inside the target's PID namespace, as CPython noted it; 3.11 and newer
  std::optional<pid_t> tid;  ///< Thread::tid of the target's thread that this is; none: not known, or exited
  /// The innermost frame it runs (PyFrameObject until 3.10, else _PyInterpreterFrame); 0: it runs none.
  Address frame = 0;
  std::optional<Error> error;  ///< why `frame` is not known (3.11 and 3.12 keep it on the C stack)
};

struct PythonThreads {
  std::vector<PythonThread> threads;
  /// Why some are missing: a list that cannot be read, makes no sense or does not end.
  std::optional<Error> error;
};

/// Walks the interpreters of a CPython and their threads. A thread is told by the thread ID that its own C
/// library keeps at pthread_self() (glibc), by the one CPython noted (wrong after fork() in some versions),
/// or by whose stack the pthread structure lies on; where two of these disagree the first of them counts.
/// Lists are bounded, cycles cut. The target goes on running: call it between two looks at what must not have
/// changed.
PythonThreads read_python_threads(const Target& target, const PythonRuntime& python);

/// Reads `frame` (and `error`) of a thread again, whose other fields stay.
void read_innermost_frame(const Memory& memory, const PythonLayout& layout, PythonThread& thread);

}  // namespace coppice::inspect
