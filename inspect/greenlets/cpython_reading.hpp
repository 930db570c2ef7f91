// One reading of the greenlets of one extension: fields, stacks, fields again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

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
  std::size_t greenlets = std::size_t{1} << 24U;
};

/// What is known of one extension.
struct CpythonGreenlets {
  const GreenletExtension& extension;
  const GreenletLayout& layout;
  const Result<ResumePoint>& resume;
  const PythonRuntime* python = nullptr;  ///< null: not recognised, or not a version this program knows
};

/// Reads the greenlets at places found before. Whatever a greenlet's fields say is checked before it is used;
/// a greenlet whose fields have changed when its stack has been copied is read again. Used once.
/// Thread-safety: one thread.
class CpythonReading {
 public:
  CpythonReading(const Target& target, const CpythonGreenlets& what, const ReadOptions& options,
                 const CpythonLimits& limits);

  /// Adds what was read to `into`. Returns the places that hold greenlets.
  std::vector<Address> run(std::span<const Address> places, ProviderReading& into);

 private:
  struct Planned {
    static constexpr std::size_t none = SIZE_MAX;
    const GreenletFields* fields = nullptr;
    Greenlet greenlet;
    std::size_t saved = none, unsaved = none;
    bool changed = false;  ///< found out while it was read
  };

  std::vector<GreenletFields> read_round(std::span<const GreenletFields> all);
  void read_batch(std::span<const GreenletFields* const> batch, std::vector<GreenletFields>& torn);
  Planned plan(const GreenletFields& fields);
  Greenlet identify(const GreenletFields& fields);
  void plan_stack(Planned& planned, const GreenletThread* thread);
  void copy_running(Planned& planned, const GreenletThread* thread);
  void finish(Planned& planned);
  void give_up(const GreenletFields& fields);
  bool wants_stack(const Greenlet& greenlet) const;
  bool asleep(const Greenlet& greenlet) const;

  const Target& target_;
  const Memory& memory_;
  const CpythonGreenlets& what_;
  const ReadOptions& options_;
  const CpythonLimits& limits_;
  GreenletTypes types_;
  std::vector<PythonThread> python_threads_;
  std::optional<GreenletStates> states_;
  ProviderReading* into_ = nullptr;
  RangeReader ranges_;
  std::uint64_t stack_bytes_ = 0;
};

}  // namespace coppice::inspect
