// Snapshot to JSON: the contract that others script against (DESIGN.md, "Contracts").
#pragma once

#include <string>

#include "inspect/export/sink.hpp"
#include "inspect/snapshot/snapshot.hpp"

namespace coppice::inspect {

/// The version of the contract. It grows when a field changes its meaning; fields may be added without.
inline constexpr int json_version = 1;

/// What the document holds besides target, threads, greenlets, stats and warnings.
struct JsonOptions {
  bool frames = true;   ///< false: greenlets without `frames`, for `gldump list`
  bool groups = false;  ///< adds `groups`: equal stacks merged, largest first
  bool waits = false;   ///< adds `waits`: who waits for the same, largest first; and `cycles`
};

/// Writes the snapshot as one JSON document on one line, with a newline at its end. Addresses are hex
/// strings, what is unknown is null and never absent. False when the sink took no more.
bool write_json(const Snapshot& snapshot, const JsonOptions& options, const Sink& sink);

/// The same as a string.
std::string to_json(const Snapshot& snapshot, const JsonOptions& options = {});

}  // namespace coppice::inspect
