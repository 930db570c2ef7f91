// Greenlets of CPython with their stacks, copied out of the target.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inspect/greenlets/cpython_copied.hpp"
#include "inspect/greenlets/cpython_running.hpp"
#include "inspect/greenlets/provider.hpp"
#include "inspect/greenlets/range_reader.hpp"
#include "inspect/python/python_chains.hpp"

namespace coppice::inspect {

/// Makes greenlets of fields: their C stacks and Python frames are read, and whatever the fields say is
/// checked before it is used.
///
///     read()   all that the target changes, as raw bytes and words. Quick when about as many were read
///     before:
///              then all memory for it is there.
///     take()   makes greenlets of these, at leisure
///
/// Thread-safety: one thread at a time.
class GreenletCopier {
 public:
  /// `python`: the threads of the interpreter. All must outlive the object.
  GreenletCopier(const Target& target, const CpythonGreenlets& what, const ReadOptions& options,
                 const CpythonLimits& limits, GreenletTypes& types, const std::vector<PythonThread>& python);

  /// About how many bytes read() would read of these greenlets.
  std::uint64_t cost(std::span<const GreenletFields> greenlets) const;

  /// Reads greenlets; both references must stay until take(). Those that run are read as the registers of
  /// their threads say: those in `still`, or (null) those that can be had without stopping anything.
  void read(std::span<const GreenletFields* const> greenlets, const GreenletStates& states,
            const Target::StillThreads* still);

  /// What the last read() has read, once.
  std::vector<CopiedGreenlet> take(const GreenletStates& states);

  /// Both, of so few at a time that not all is in memory twice.
  std::vector<CopiedGreenlet> copy(std::span<const GreenletFields> greenlets, const GreenletStates& states);

  /// Reads all of it once more; marks as torn what is not the same as before.
  void verify(std::span<CopiedGreenlet> copied);

  /// What is known of a greenlet that never held still.
  Greenlet identify(const GreenletFields& fields, const GreenletStates& states);

  /// Sets its thread and its parent, for which `states` must know all greenlets.
  static void relate(CopiedGreenlet& copied, const GreenletStates& states);

 private:
  static constexpr std::size_t none = SIZE_MAX;
  /// Where in ranges_ a stack is.
  struct Ranges {
    std::size_t saved = none, unsaved = none;
  };
  /// One that does not run, read and not yet taken.
  struct Pending {
    const GreenletFields* fields = nullptr;
    State state = State::unstarted;
    bool has_base = false;  ///< its stack ends with the frame that started it
    bool wanted = false;    ///< its stack was read
    Slice slice;
    Ranges ranges;
    std::optional<Error> error;
  };

  void begin();
  void read_asleep(std::span<const GreenletFields* const> greenlets, const GreenletStates& states);
  void read_running(std::span<const GreenletFields* const> greenlets, const GreenletStates& states,
                    const Target::StillThreads* still);
  void take_asleep(const GreenletStates& states, std::vector<CopiedGreenlet>& into);
  Pending prepare(const GreenletFields& fields, State state, const GreenletStates& states);
  bool wants_stack(const GreenletFields& fields, State state);
  void set_slice(Pending& pending, const GreenletThread* thread) const;
  bool may_copy(Pending& pending);
  Ranges announce(const Slice& slice);
  std::span<const std::byte> saved_bytes(const Ranges& ranges) const;
  std::span<const std::byte> unsaved_bytes(const Ranges& ranges, const Slice& slice) const;
  void verify_batch(std::span<CopiedGreenlet> batch);

  const Target& target_;
  const Memory& memory_;
  const CpythonGreenlets& what_;
  const ReadOptions& options_;
  const CpythonLimits& limits_;
  GreenletTypes& types_;
  RunningGreenletCopier running_copier_;
  GreenletFieldReader fields_;
  RangeReader ranges_;
  std::optional<PythonChains> chains_;   ///< none: CPython is not known
  std::vector<PythonRequest> requests_;  ///< of those of pending_ that are wanted
  std::vector<Pending> pending_;
  std::vector<CopiedGreenlet> running_;
  std::uint64_t stack_bytes_ = 0;
  std::size_t frames_left_;
  Greenlet asked_;  ///< what wants_stack is asked about
};

}  // namespace coppice::inspect
