// The files of /proc/PID that describe a process, as values. Formats: proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/target/module_finder.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// The lines of /proc/PID/maps that make sense, sorted and disjoint. The file is not read in one instant: a
/// mapping that moved meanwhile can appear twice, and then the first one counts.
std::vector<MappedRange> parse_maps(std::string_view text);

/// What /proc/PID/status says.
struct ProcStatus {
  std::string name;
  char state = '?';            ///< R running, S D sleeping, T stopped, t traced, Z zombie, X dead
  pid_t thread_group = 0;      ///< 0: the file did not say
  pid_t parent = 0;            ///< 0: none that can be seen from here
  pid_t tracer = 0;            ///< 0: none
  std::optional<pid_t> nstid;  ///< in the innermost PID namespace
  uid_t real_uid = 0;
  uid_t effective_uid = 0;
  std::uint64_t effective_capabilities = 0;
  int seccomp = 0;  ///< 0: none, 1: strict, 2: filter
  bool exited() const noexcept { return state == 'Z' || state == 'X' || state == 'x'; }
};

ProcStatus parse_status(std::string_view text);

/// Where a blocked thread stands: /proc/PID/task/TID/syscall.
struct BlockedAt {
  Address sp = 0;
  Address pc = 0;
  /// False: it waits for a page (to be read, or while the kernel moves it), or someone has stopped it in
  /// between. A stop does not disturb such a wait: there is no call to be interrupted.
  bool in_system_call = false;
};

/// Empty when the thread is running (or the text is not as documented).
std::optional<BlockedAt> parse_syscall(std::string_view text);

}  // namespace coppice::inspect
