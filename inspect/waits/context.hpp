// What must be known besides the target's memory.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace coppice::inspect {

/// What helps to say what a greenlet waits for.
struct WaitContext {
  /// What a file descriptor of the target is: "socket 7 -> 10.0.0.5:5432 (established)"; empty when not
  /// known.
  std::function<std::string(int fd)> describe_fd;
  /// Now, in seconds of the target's CLOCK_MONOTONIC; none for a core.
  std::optional<double> now;
};

}  // namespace coppice::inspect
