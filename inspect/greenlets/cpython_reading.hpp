// One reading of the greenlets of one extension, consistent although the target goes on running.
#pragma once

#include <memory>
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
///          fields once more while no thread runs; what has changed, what runs and what is new is copied
///          there
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
  void look();
  bool nothing_ran() const;
  void read_until_unchanged();
  void read_while_still();
  void catch_up(const Target::StillThreads& still);
  void deliver();

  const Target& target_;
  const CpythonGreenlets& what_;
  const GreenletFinder& finder_;
  const std::optional<std::string>& before_;
  const ReadOptions& options_;
  const CpythonLimits& limits_;
  GreenletTypes types_;
  GreenletCopier copier_;
  ProviderReading* into_ = nullptr;

  std::vector<PythonThread> python_threads_;
  ThreadStacks stacks_;
  std::vector<Address> places_;  ///< sorted
  std::vector<GreenletFields> all_;
  std::unique_ptr<GreenletStates> states_;  ///< of all_
  std::vector<CopiedGreenlet> copied_;

  // What was done while nothing ran.
  bool copy_all_again_ = false;
  std::vector<CopiedGreenlet*> by_place_;  ///< of copied_
  std::vector<CopiedGreenlet*> kept_;      ///< those of copied_ that are still right
  std::vector<CopiedGreenlet> fresh_;      ///< copied instead of the others
  std::uint64_t changed_ = 0;
};

}  // namespace coppice::inspect
