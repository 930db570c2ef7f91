// The `greenlet` extension module of CPython, wherever it is mapped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// One mapped greenlet extension, by its exported symbols; every version exports them, stripped or not.
struct GreenletExtension {
  Module module;
  Address type = 0;  ///< PyGreenlet_Type
  /// What the first word of a C++ greenlet object points to: the vtable symbol + 16. 0: this version has none
  /// (before 2.0 greenlets are plain C structs; BrokenGreenlet came with 3.0).
  Address user_vtable = 0;
  Address main_vtable = 0;
  Address broken_vtable = 0;
  std::uint64_t thread_local_size = 0;  ///< of its thread-local variables

  /// Before greenlet 2.0: everything lies in the Python object itself.
  bool flat() const noexcept { return user_vtable == 0; }
};

/// All of them; a process can load several (two virtual environments, several interpreters). The module is
/// known by what it exports, not by its path: embedders rename it.
std::vector<GreenletExtension> find_greenlet_extensions(const Target& target);

}  // namespace coppice::inspect
