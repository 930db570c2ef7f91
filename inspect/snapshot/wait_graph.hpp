// Who waits for what, and who for whom.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"

namespace coppice::inspect {

/// Greenlets that wait for the same thing; all that wait for a timer are together, and all that wait for a
/// coroutine of the same function. Numbers are indices into Snapshot::greenlets.
struct WaitGroup {
  std::string kind;
  std::uint64_t value = 0;              ///< as Waiting::value; 0 for timers and coroutines
  std::string what;                     ///< for a person
  std::optional<std::size_t> greenlet;  ///< when it is a greenlet that they wait for
  std::vector<std::size_t> waiting;
};

struct WaitGraph {
  std::vector<WaitGroup> groups;  ///< largest first; ties by the first that waits
  /// Greenlets that wait for each other in a circle, each for the next and the last for the first: none of
  /// them will ever go on. Each circle once, beginning with the lowest number.
  std::vector<std::vector<std::size_t>> cycles;
};

WaitGraph wait_graph(const Snapshot& snapshot);

/// Whom a greenlet waits for, whom that one waits for, and so on; without the greenlet itself. Ends where
/// somebody waits for no greenlet, or where it comes back to one that it had.
std::vector<std::size_t> wait_chain(const Snapshot& snapshot, std::size_t greenlet);

}  // namespace coppice::inspect
