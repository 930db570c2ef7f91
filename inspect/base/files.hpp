// Small files and what the system says when they cannot be read.
#pragma once

#include <cstddef>
#include <string>

#include "inspect/base/result.hpp"
#include "inspect/base/unique_fd.hpp"

namespace coppice::inspect {

/// What an errno means, as a sentence's last words: "No such file or directory".
std::string errno_text(int error);

/// The whole of a file (one of /proc, or a regular one), at most `limit` bytes of it. `directory` as for
/// openat(2). `no_file` (it does not exist), `not_permitted`, `gone` (/proc: the process has exited), `io`.
Result<std::string> read_text_at(int directory, const std::string& name, std::size_t limit);

/// Opens a regular file for reading. Never blocks on a FIFO or device: those are refused. Errors as above.
Result<UniqueFd> open_regular_at(int directory, const std::string& name);

/// The target of a symbolic link, empty when it cannot be read.
std::string read_link_at(int directory, const std::string& name);

}  // namespace coppice::inspect
