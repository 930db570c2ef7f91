// Worker: the client's end of coppice-worker, the sandboxed program that parses bytes nobody vouches for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inspect/base/result.hpp"
#include "inspect/target/target.hpp"
#include "inspect/worker/protocol.hpp"

namespace coppice::inspect {

/// Runs coppice-worker and talks to it. .eh_frame, DWARF and names to demangle are read only over there: the
/// worker opens nothing itself (files come as descriptors), can reach nothing but its socket (seccomp), and
/// when a hostile file crashes or stalls it, the next request simply starts another one.
///
/// The process starts at the first request, is judged by its socket and by time limits, never by its wait
/// status (a host such as GDB reaps every child), and is gone, zombie included, when the Worker is destroyed.
///
/// Thread-safety: one thread at a time.
class Worker {
 public:
  struct Options {
    /// Path of the program; empty: $COPPICE_WORKER, else beside this program or library, ../bin,
    /// ../libexec/coppice, or where it was installed.
    std::string program;
    /// The worker answers or dies of its CPU limit; this is for one that can do neither (stopped by someone).
    int silence_limit_ms = 20'000;
  };

  /// One exchange. `body` holds items; the service answers each in order by one answer.
  struct Request {
    worker::MessageKind kind = worker::MessageKind::learn_rules;
    std::span<const std::byte> body;
    /// Files the request speaks of; passed on if this process has not got them yet.
    std::span<const worker::FileId> files;
    /// How many answers may travel together; those held back are lost with a crash.
    std::uint16_t batch = 1;
    /// CPU time one item may use, in milliseconds.
    std::uint32_t item_cpu_ms = 1'000;
  };

  /// How an exchange ended. Unless `complete`, the first unanswered item (batch 1), or one of the first
  /// `batch` unanswered ones, killed or stalled the worker, or it talked nonsense.
  enum class Outcome : std::uint8_t { complete, crashed, stalled };

  Worker();
  explicit Worker(Options options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// The file of a module, opened at first use and kept by the module's identity. Fails as Target::open_image
  /// does; such a failure is remembered until `forget_failures()`.
  Result<worker::FileId> image(const Target& target, const Module& module);

  /// Takes any other ELF file (a separate debug file) under a new number.
  worker::FileId adopt(UniqueFd file);

  /// Forgets a file, here and in the worker.
  void release(worker::FileId file);

  void forget_failures();

  /// Sends a request and hands over each answer as it comes. Fails with `no_file` or `io` when no worker
  /// could be started, and with `bad_argument` for a body or file that cannot be sent; a worker that died is
  /// an Outcome.
  Result<Outcome> ask(const Request& request,
                      const std::function<void(std::span<const std::byte>)>& on_answer);

  /// Times a worker had to be replaced.
  std::uint64_t restarts() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coppice::inspect
