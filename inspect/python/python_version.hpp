// Which version a CPython is, by everything that says so.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "inspect/memory/memory.hpp"
#include "inspect/python/python_layout.hpp"
#include "inspect/target/module.hpp"

namespace coppice::inspect {

struct FoundVersion {
  PythonVersion version;
  bool free_threaded = false;  ///< as far as the text says so
};

/// The text behind sys.version, "3.10.13 (main, May  9 2026, 07:35:01) [GCC 12.2.0]", which Py_GetVersion()
/// puts into a buffer of its own when the interpreter starts. None when the bytes contain none.
std::optional<FoundVersion> find_version_text(std::span<const std::byte> bytes);

/// The version of the CPython in `module` with _PyRuntime at `runtime`. `py_version`: address of Py_Version,
/// 0 when there is none. `unsupported` when nothing tells it; `corrupt` when two sources disagree.
Result<FoundVersion> find_python_version(const Memory& memory, const Module& module, Address runtime,
                                         Address py_version);

}  // namespace coppice::inspect
