// `--subprocesses`: a process and all that it started, as a server's master with its workers.
#pragma once

#include "inspect/gldump/report.hpp"

namespace coppice::gldump {

/// Prints the process and those of its descendants that have greenlets, one after the other: as text each
/// under a heading, as JSON in one array. A process that ends before it was read is left out; one that cannot
/// be read is a warning, and `incomplete`. `could_not` when none can be read.
Status run_with_subprocesses(const Options& options);

}  // namespace coppice::gldump
