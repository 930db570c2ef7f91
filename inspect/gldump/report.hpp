// What gldump does with one process or core: take a snapshot of it, and print that.
#pragma once

#include <memory>
#include <string>

#include "inspect/gldump/options.hpp"
#include "inspect/gldump/terminal.hpp"
#include "inspect/snapshot/snapshot.hpp"
#include "inspect/target/target.hpp"

namespace coppice::gldump {

/// Exit statuses: DESIGN.md, "Contracts".
enum Status : int { done = 0, could_not = 1, incomplete = 3 };

/// A line on standard error.
void say(const std::string& what);

/// Says why it could not be done.
Status fail(const inspect::Error& error);

/// The snapshot that the command needs. Errors are those of opening the target and of Session::take.
inspect::Result<inspect::Snapshot> take(inspect::Result<std::unique_ptr<inspect::Target>> target,
                                        const Options& options);

/// Leaves only those greenlets that were asked for, and prints them as text or as one JSON document.
void print(inspect::Snapshot& snapshot, const Options& options, Output& output);

/// `done`, or `incomplete` where the snapshot lacks something that was asked for.
Status status_of(const inspect::Snapshot& snapshot);

/// Empties the output; `could_not`, having said why, when something could not be written; else `status`.
Status finish(Output& output, Status status);

}  // namespace coppice::gldump
