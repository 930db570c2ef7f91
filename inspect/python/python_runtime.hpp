// The CPython interpreters that a target runs.
#pragma once

#include <string>
#include <vector>

#include "inspect/python/python_layout.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Addresses of the type objects that the readers want to recognise; 0: not known.
struct PythonTypes {
  Address code = 0, string = 0, bytes = 0, integer = 0, boolean = 0, floating = 0, tuple = 0, list = 0;
  Address dictionary = 0, cell = 0;
  Address none = 0;  ///< the object None itself
};

/// One CPython, in the executable, in libpython, or in a library that another program has loaded. Plain data:
/// it stays true as long as the module stays mapped.
struct PythonRuntime {
  std::string module;        ///< path of the module that defines _PyRuntime, as the target names it
  Address module_start = 0;  ///< Module::start
  PythonVersion version;
  bool free_threaded = false;
  Address runtime = 0;  ///< of _PyRuntime
  PythonLayout layout;  ///< with what the interpreter publishes about itself (_Py_DebugOffsets) taken over
  PythonTypes types;
};

/// What was found in a target.
struct PythonSearch {
  std::vector<PythonRuntime> found;
  /// A sentence for each CPython that was recognised but cannot be read: `unsupported` (a version or kind
  /// this program does not know), `corrupt` (what it says about itself does not fit together), `unreadable`.
  std::vector<Error> refused;
};

/// Finds every CPython in the target: the modules that define _PyRuntime.
///
/// The version is what the module says in Py_Version (3.11 and newer), in _Py_DebugOffsets (3.13 and newer)
/// and in the text behind sys.version, which must all agree; one of them is enough. Python that has not begun
/// to start yet is not there. Never fails as a whole; costs one symbol look-up for each module.
PythonSearch find_python(const Target& target);

}  // namespace coppice::inspect
