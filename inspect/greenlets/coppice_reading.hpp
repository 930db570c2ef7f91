// One reading of one runtime: the protocol of debug_abi.h, "versions, bytes, versions".
#pragma once

#include <span>
#include <vector>

#include "inspect/greenlets/coppice_clock.hpp"
#include "inspect/greenlets/coppice_slots.hpp"
#include "inspect/greenlets/coppice_threads.hpp"
#include "inspect/greenlets/provider.hpp"
#include "inspect/greenlets/range_reader.hpp"

namespace coppice::inspect {

/// What is read at most; a target can claim anything.
struct CoppiceLimits {
  PoolLimits pools;
  std::uint64_t stack = 64U << 20U;  ///< bytes of one greenlet; of a larger stack the innermost part is read
  std::uint64_t stacks = 2ULL << 30U;  ///< bytes of all greenlets of one reading
  std::uint64_t batch = 4U << 20U;     ///< bytes read at a time; small enough for the caches
  std::uint64_t name = 256;            ///< bytes of a name
};

/// Reads everything one runtime has:
///
///     all versions --> all slots --> names and stacks, in batches --> the versions of each batch
///                        ^                                                    |
///                        '------------- those that changed, again ------------'
///
/// Whatever a greenlet's fields say is checked before it is used. Used once. Thread-safety: one thread.
class CoppiceReading {
 public:
  CoppiceReading(const Target& target, const CoppiceTable& table, const ReadOptions& options,
                 const CoppiceLimits& limits);

  /// Adds what was read to `into`. Fails when the pools could not be read.
  Result<void> run(ProviderReading& into);

 private:
  /// A slot that holds a greenlet, and its version before its fields were read.
  struct Candidate {
    std::size_t slot = 0;
    std::uint64_t version = 0;
    GreenletSlot fields;
  };
  /// A greenlet whose names and stack have been asked for. Numbers of ranges; `none` where there is nothing
  /// to read.
  struct Planned {
    static constexpr std::size_t none = SIZE_MAX;
    const Candidate* candidate = nullptr;
    Greenlet& greenlet;
    std::size_t name = none, waiting_kind = none, saved = none, unsaved = none, version_after = none;
  };

  std::vector<Candidate> find_candidates(const PoolCopy& versions, const PoolCopy& slots);
  std::vector<Candidate> read_candidates(std::span<const Candidate> torn);
  void read_round(std::vector<Candidate>& candidates, std::vector<Candidate>& torn);
  void read_batch(std::span<const Candidate> batch, std::vector<Candidate>& torn);
  Planned plan(const Candidate& candidate, Greenlet& greenlet);
  void plan_stack(Planned& planned, const CoppiceThread* thread);
  void copy_running(Greenlet& greenlet, const CoppiceThread* thread);
  void finish(Planned& planned);
  void give_up(const Candidate& candidate);
  Greenlet identify(const GreenletSlot& fields);
  bool wants_stack(const Greenlet& greenlet) const;

  const Target& target_;
  const Memory& memory_;
  const CoppiceTable& table_;
  const ReadOptions& options_;
  const CoppiceLimits& limits_;
  CoppiceClock clock_;
  CoppiceThreads threads_;
  const PoolCopy* slots_ = nullptr;
  ProviderReading* into_ = nullptr;
  RangeReader ranges_, versions_;
  std::uint64_t stack_bytes_ = 0;
  std::uint64_t unknown_states_ = 0;
};

}  // namespace coppice::inspect
