// Whose C stack an address lies on.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "inspect/python/python_threads.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// The C stack of one thread.
struct ThreadStack {
  Address low = 0;   ///< lowest mapped address
  Address high = 0;  ///< nothing at or above belongs to a frame
  pid_t tid = 0;
  std::optional<pid_t> nstid;
};

/// The stacks of a target's threads, as far as they are known without stopping anything: each is the mapping
/// that holds the thread's stack pointer (of a blocked thread) or its pthread structure, which lies at the
/// top of every stack but the main thread's. Plain data.
class ThreadStacks {
 public:
  static ThreadStacks read(const Target& target, std::span<const PythonThread> python);

  /// The stack that holds an address; null when it is no thread's.
  const ThreadStack* at(Address address) const;
  /// The stack of a thread; null when it is not known.
  const ThreadStack* of(pid_t tid) const;
  std::span<const ThreadStack> all() const noexcept { return stacks_; }

 private:
  std::vector<ThreadStack> stacks_;  ///< by address, disjoint
};

/// The thread among whose thread-local variables of one module one of the `values` is, for each value that is
/// found: by value. `size`: of the module's thread-local variables; which of each thread's blocks that is
/// needs not be known, as the values are addresses that nothing else has a reason to hold.
std::map<std::uint64_t, pid_t> find_in_thread_locals(const Memory& memory,
                                                     std::span<const PythonThread> python, std::uint64_t size,
                                                     std::span<const std::uint64_t> values);

}  // namespace coppice::inspect
