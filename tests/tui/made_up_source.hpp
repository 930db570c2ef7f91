// Snapshots of a program that does not exist, for tests of everything that stands on top of a Snapshot.
#pragma once

#include <chrono>
#include <cstddef>

#include "tui/snapshot_source.hpp"

namespace coppice::tui {

struct MadeUp {
  std::size_t greenlets = 40;
  std::size_t fail_after = 0;  ///< snapshots, then `error`; 0: never
  inspect::ErrorCode error = inspect::ErrorCode::gone;
  std::size_t crash_after = 0;         ///< snapshots, then a null pointer is followed
  std::size_t throw_after = 0;         ///< snapshots, then std::runtime_error
  std::chrono::milliseconds delay{0};  ///< what one snapshot takes
};

/// Greenlet i (ids from 1) has been switched to 10 * i times more in every snapshot, a second of its own time
/// after the one before; greenlet 1 is main and runs; of the others every 10th is unstarted, every 11th
/// finished, every 13th truncated, and the rest sleep in functions that depend on i % 4. Greenlet 39's
/// outermost frame is "interpreter_loop" where all C frames are wanted, and "handler.py" where Python's alone
/// are.
class MadeUpSource final : public SnapshotSource {
 public:
  explicit MadeUpSource(MadeUp what) : what_(what) {}
  inspect::Result<inspect::Snapshot> take(const inspect::SnapshotOptions& options) override;

 private:
  MadeUp what_;
  std::size_t taken_ = 0;
};

}  // namespace coppice::tui
