// The memory of a live process.
#pragma once

#include <sys/types.h>

#include "inspect/base/unique_fd.hpp"
#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// Reads a live process by process_vm_readv(2): many pieces in one system call, without stopping anything.
/// Where only that call is forbidden (an old seccomp profile), by /proc/PID/mem.
///
/// Guarantees
///   - Bytes come from the process that was opened, never from a later one with the same number: after every
///     batch the process is asked whether it still lives, and if not, nothing of the batch counts.
///   - A hole (unmapped, guard page inside a mapping) ends only the requests that run into it.
/// Bytes are not a snapshot: the process goes on running while it is read.
/// Thread-safety: reads may run concurrently.
class ProcessMemory final : public Memory {
 public:
  enum class Way : std::uint8_t { process_vm_readv, proc_mem };

  /// `tid`: any living thread of the process. `pidfd`: of the process, borrowed for the life of this object;
  /// -1 does without the check. `mem`: /proc/PID/mem opened for reading, or none.
  ProcessMemory(pid_t tid, int pidfd, UniqueFd mem, Way way);

  void read_batch(std::span<ReadRequest> requests) const override;

  /// Reads go through this thread from now on (the one before has exited, the process has not).
  void set_thread(pid_t tid) noexcept { tid_ = tid; }

 private:
  bool still_alive() const;
  void read_by_system_call(std::span<ReadRequest*> sorted) const;
  void read_by_proc_mem(std::span<ReadRequest> requests) const;

  pid_t tid_;
  int pidfd_;
  UniqueFd mem_;
  Way way_;
};

/// Whether the kernel lets us read that thread's memory by process_vm_readv: 0, or the errno.
int probe_process_vm_readv(pid_t tid);

}  // namespace coppice::inspect
