// The threads our runtime knows, matched with those the system knows.
#pragma once

#include <optional>
#include <vector>

#include "inspect/greenlets/coppice_slots.hpp"

namespace coppice::inspect {

/// A thread that has, or had, greenlets.
struct CoppiceThread {
  ThreadSlot slot;
  pid_t nstid = 0;
  std::optional<pid_t> tid;  ///< as this process sees it; empty when the target has no such thread (any more)
};

/// The thread pool of one runtime.
class CoppiceThreads {
 public:
  static Result<CoppiceThreads> read(const Target& target, const CoppiceTable& table,
                                     const PoolLimits& limits);

  /// The thread whose slot begins at an address; null when that slot is free or none.
  const CoppiceThread* at(Address slot) const;
  std::uint64_t switches() const;
  std::uint64_t bytes_copied() const;
  std::optional<Address> unreadable() const noexcept { return unreadable_; }

 private:
  std::vector<CoppiceThread> threads_;  ///< sorted by slot address
  std::optional<Address> unreadable_;
};

}  // namespace coppice::inspect
