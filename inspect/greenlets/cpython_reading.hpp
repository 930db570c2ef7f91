// One reading of the greenlets of one extension, consistent although the target goes on running.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inspect/greenlets/cpython_copier.hpp"
#include "inspect/greenlets/cpython_objects.hpp"

namespace coppice::inspect {

/// Copies first and asks afterwards:
///
///     fields, stacks --> has any thread run since `before`? --no--> done, and nothing was stopped
///                                     | yes
///          may threads be stopped? --no--> everything once more: what is not the same is read again, in the
///                                     |    end marked torn
///                                     | yes
///          everything while no thread runs
///
/// Where everything would make a long pause, it is read in turns, with a short pause for each, and in the
/// last one the fields of all: what has changed, what runs and what is new is read then. A greenlet's stacks
/// are of one instant always, those of two greenlets within the time of one reading.
///
/// Used once. Thread-safety: one thread.
class CpythonReading {
 public:
  /// `before`: Target::stillness() before the places were looked for.
  CpythonReading(const Target& target, const CpythonGreenlets& what, const GreenletFinder& finder,
                 const std::optional<std::string>& before, const ReadOptions& options,
                 const CpythonLimits& limits);

  /// Adds what was read to `into`. `places`: what the finder found.
  void run(std::vector<Address> places, ProviderReading& into);

 private:
  /// Greenlets, and what they do, as of one moment.
  struct Picture {
    std::vector<GreenletFields> all;
    GreenletStates states;
  };
  void look(std::span<const Address> places, Picture& into);
  bool nothing_ran() const;
  void read_until_unchanged();
  void read_while_still();
  void read_in_turns();
  void catch_up(const Target::StillThreads& still);
  std::uint64_t count_changed() const;
  void deliver();

  const Target& target_;
  const CpythonGreenlets& what_;
  const GreenletFinder& finder_;
  const std::optional<std::string>& before_;
  const ReadOptions& options_;
  const CpythonLimits& limits_;
  GreenletTypes types_;
  GreenletFieldReader fields_;
  std::vector<PythonThread> python_threads_;
  GreenletCopier copier_;
  ProviderReading* into_ = nullptr;

  ThreadStacks stacks_;
  std::vector<Address> places_;  ///< sorted
  Picture now_;
  std::vector<CopiedGreenlet> copied_;

  // What is done while nothing runs.
  bool all_at_once_ = false;                   ///< it is little enough
  std::vector<const GreenletFields*> wanted_;  ///< what the copier is to read
  std::vector<CopiedGreenlet*> by_place_;      ///< copied_, in turns before
  std::vector<CopiedGreenlet*> kept_;          ///< those of copied_ that are still right
  std::vector<GreenletFields> slept_;          ///< those of now_.all that slept before the pause
};

}  // namespace coppice::inspect
