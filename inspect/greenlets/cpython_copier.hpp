// Greenlets of CPython with their stacks, copied out of the target.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inspect/greenlets/cpython_objects.hpp"
#include "inspect/greenlets/cpython_resume.hpp"
#include "inspect/greenlets/cpython_states.hpp"
#include "inspect/greenlets/provider.hpp"
#include "inspect/greenlets/range_reader.hpp"
#include "inspect/python/python_runtime.hpp"

namespace coppice::inspect {

/// What is read at most; a target can claim anything.
struct CpythonLimits {
  std::uint64_t stack = 64U << 20U;  ///< bytes of one greenlet; of a larger stack the innermost part is read
  std::uint64_t stacks = 2ULL << 30U;  ///< bytes of all greenlets of one reading
  std::uint64_t batch = 4U << 20U;     ///< bytes read at a time; small enough for the caches
  std::uint64_t pause = 4U << 20U;     ///< bytes copied again, to be sure, while the target is stopped
  SearchLimits search;
};

/// What is known of one extension.
struct CpythonGreenlets {
  const GreenletExtension& extension;
  const GreenletLayout& layout;
  const Result<ResumePoint>& resume;
  const PythonRuntime* python = nullptr;  ///< null: not recognised, or not a version this program knows
};

/// One greenlet, and the fields it was made from.
struct CopiedGreenlet {
  GreenletFields fields;
  Greenlet greenlet;
  bool torn = false;  ///< the target has changed it meanwhile
};

/// Makes greenlets of fields. Whatever the fields say is checked before it is used. Thread-safety: one thread
/// at a time.
class GreenletCopier {
 public:
  GreenletCopier(const Target& target, const CpythonGreenlets& what, const ReadOptions& options,
                 const CpythonLimits& limits, GreenletTypes& types);

  /// Copies greenlets. Those that run are read as the registers of their threads say: those in `still`, or
  /// (null) those that can be had without stopping anything.
  std::vector<CopiedGreenlet> copy(std::span<const GreenletFields> greenlets, const GreenletStates& states,
                                   const Target::StillThreads* still);

  /// Reads fields and stacks once more; marks as torn what is not the same as before.
  void verify(std::span<CopiedGreenlet> copied);

  /// What is known of a greenlet that never held still.
  Greenlet identify(const GreenletFields& fields, const GreenletStates& states);

 private:
  struct Ranges {
    static constexpr std::size_t none = SIZE_MAX;
    std::size_t saved = none, unsaved = none;
  };

  bool wants_stack(const Greenlet& greenlet) const;
  void copy_batch(std::span<const GreenletFields* const> batch, const GreenletStates& states,
                  std::vector<CopiedGreenlet>& into);
  void verify_batch(std::span<CopiedGreenlet> batch);
  void set_slice(CopiedGreenlet& copied, const GreenletStates& states);
  bool may_copy(CopiedGreenlet& copied);
  Ranges announce(const CopiedGreenlet& copied);
  std::vector<std::byte> stitched(const Ranges& ranges, const Slice& slice) const;
  void copy_running(CopiedGreenlet& copied, const GreenletStates& states, const Target::StillThreads* still);
  void copy_held(CopiedGreenlet& copied, const GreenletThread& thread, const Registers& registers);

  const Target& target_;
  const Memory& memory_;
  const CpythonGreenlets& what_;
  const ReadOptions& options_;
  const CpythonLimits& limits_;
  GreenletTypes& types_;
  RangeReader ranges_;
  std::uint64_t stack_bytes_ = 0;
};

}  // namespace coppice::inspect
