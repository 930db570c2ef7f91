// The load: a process of its own that keeps many connections to the server in many different states.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace sample {

struct LoadPlan {
  std::uint16_t port = 0;
  unsigned connections = 0;
  std::uint64_t seed = 1;
};

/// Forks a process that opens the connections and plays their clients until stop_load(), the end of the
/// server, or its parent's death. It has no greenlets. Returns its pid, or -1 with errno.
pid_t start_load(const LoadPlan& plan);

void stop_load(pid_t load);

}  // namespace sample
