// Where the program coppice-worker is.
#pragma once

#include <string>

#include "inspect/base/result.hpp"

namespace coppice::inspect::worker {

/// Path of coppice-worker: `asked_for` if not empty, else $COPPICE_WORKER, else the first that exists of:
/// beside the running program; beside the program or library that contains this code, its ../bin and
/// ../libexec/coppice; the installed libexec folder. `no_file` with all places tried.
Result<std::string> locate_program(const std::string& asked_for);

}  // namespace coppice::inspect::worker
