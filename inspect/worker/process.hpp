// The process of coppice-worker: starting it and getting rid of it.
#pragma once

#include <string>
#include <utility>

#include "inspect/base/result.hpp"
#include "inspect/base/unique_fd.hpp"

namespace coppice::inspect::worker {

/// A running worker, held by a pidfd: a host that reaps every child (GDB does) cannot make us signal a
/// stranger. Destroying kills it and collects what the kernel kept of it, if nobody else has.
class Process {
 public:
  /// Starts the program with one end of a socket pair as descriptor 3. `io` when that fails.
  static Result<Process> start(const std::string& program);

  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) = delete;
  ~Process();

  int socket() const noexcept { return socket_.get(); }

 private:
  Process(UniqueFd socket, UniqueFd handle) noexcept
      : socket_(std::move(socket)), handle_(std::move(handle)) {}

  UniqueFd socket_;
  UniqueFd handle_;  // pidfd
};

}  // namespace coppice::inspect::worker
