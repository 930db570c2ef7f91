// Unwinder: walks many stacks at once, learning missing rules from the worker in batches.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "inspect/unwind/walk.hpp"

namespace coppice::inspect {

class Worker;

/// Turns stacks into frames. All stacks of a snapshot are given together: whoever meets a pc whose rule is
/// not known waits, the missing rules of all are learned in one exchange with coppice-worker, and the walks
/// go on. Rules are kept for the life of the Unwinder, by module identity, so a second snapshot is all cache
/// hits.
///
/// Guarantees: reads only the bytes it was given; every frame was derived by a rule from CFI, never guessed;
/// ends after at most `max_frames` frames a stack; a module with broken CFI hurts only the frames that need
/// it. Thread-safety: one thread at a time.
class Unwinder {
 public:
  struct Options {
    std::size_t max_frames = 10'000;
  };

  /// `worker` must outlive the Unwinder.
  explicit Unwinder(Worker& worker);
  Unwinder(Worker& worker, Options options);
  ~Unwinder();

  /// Walks every request against the target's modules as they are now. Results in the order of the requests.
  std::vector<Walk> walk(const Target& target, std::span<const WalkRequest> requests);

  const UnwindStats& stats() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coppice::inspect
