// The walls around coppice-worker.
#pragma once

#include <optional>
#include <string>

namespace coppice::inspect::worker {

/// Gives up everything that parsing does not need: other descriptors than 0-3, core files, file writing, more
/// than 4 GB of data, executable mappings, and every system call but those that compute, allocate, map or
/// read descriptors it was given and talk over the socket (the others fail with EPERM; opening a file fails
/// with ENOENT). SIGPROF (an item's CPU time is used up) reports `stalled` and exits. Returns why not, when a
/// wall could not be put up; then nothing may be parsed.
std::optional<std::string> enter_sandbox();

}  // namespace coppice::inspect::worker
