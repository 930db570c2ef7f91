// Greenlets of CPython on their way out of the target.
#pragma once

#include <cstdint>

#include "inspect/greenlets/cpython_objects.hpp"
#include "inspect/greenlets/cpython_resume.hpp"
#include "inspect/greenlets/cpython_states.hpp"
#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/python_runtime.hpp"

namespace coppice::inspect {

/// What is read at most; a target can claim anything.
struct CpythonLimits {
  std::uint64_t stack = 64U << 20U;  ///< bytes of one greenlet; of a larger stack the innermost part is read
  std::uint64_t stacks = 2ULL << 30U;  ///< bytes of all greenlets of one reading
  std::uint64_t batch = 4U << 20U;     ///< bytes read at a time; small enough for the caches
  std::uint64_t pause = 4U << 20U;     ///< bytes read at a time while the target is stopped: 1 to 2 ms
  std::size_t python_frames = std::size_t{1} << 16U;      ///< of one greenlet
  std::size_t all_python_frames = std::size_t{1} << 22U;  ///< of all greenlets of one reading
  SearchLimits search;
};

/// What is known of one extension.
struct CpythonGreenlets {
  const GreenletExtension& extension;
  const GreenletLayout& layout;
  const Result<ResumePoint>& resume;
  const PythonRuntime* python = nullptr;  ///< null: not recognised, or not a version this program knows

  AddressRange code() const { return {extension.module.start, extension.module.end}; }
};

/// One greenlet, and the fields it was made from.
struct CopiedGreenlet {
  GreenletFields fields;
  Greenlet greenlet;
  bool torn = false;  ///< the target has changed it meanwhile
};

}  // namespace coppice::inspect
