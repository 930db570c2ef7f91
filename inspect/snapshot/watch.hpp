// What is read of greenlets after their stacks counts only as long as they have not gone on.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inspect/greenlets/provider.hpp"
#include "inspect/snapshot/python_stacks.hpp"
#include "inspect/snapshot/snapshot.hpp"

namespace coppice::inspect {

/// Made before greenlets are read; asked when more has been read of them. Does not stop anything. Greenlets
/// must have their stacks still. Thread-safety: one thread at a time.
class Watch {
 public:
  /// Both must outlive the object.
  Watch(const Target& target, std::span<const std::unique_ptr<Provider>> providers);

  /// Takes away waits that were found when their greenlet had gone on: they are not what its stacks show.
  void forget_waits(std::span<SnapshotGreenlet> greenlets) const;

  /// Likewise what they run and who spawned them; says so in `origin_error`. Those that run are not asked.
  void forget_origins(std::span<SnapshotGreenlet> greenlets) const;

  /// Likewise the variables of `stacks`, each of the greenlet at the same place.
  void forget_locals(std::span<SnapshotGreenlet* const> greenlets,
                     std::span<PythonStacks::Found> stacks) const;

 private:
  std::vector<Greenlet*> gone_on(std::span<Greenlet* const> greenlets) const;

  const Target& target_;
  std::span<const std::unique_ptr<Provider>> providers_;
  std::optional<std::string> before_;  ///< Target::stillness()
};

}  // namespace coppice::inspect
