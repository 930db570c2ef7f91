// Session: the whole path of DESIGN.md behind one call. What views hold instead of a target.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inspect/greenlets/provider.hpp"
#include "inspect/snapshot/snapshot.hpp"

namespace coppice::inspect {

/// What to take.
struct SnapshotOptions {
  bool frames = true;                        ///< false: like `gldump list`
  bool symbols = true;                       ///< false: pcs, modules and offsets only
  FrameChoice choice = FrameChoice::merged;  ///< of greenlets that have Python frames
  bool locals = false;   ///< the local variables of every Python frame, read after everything else of a stack
  bool origins = false;  ///< of gevent's greenlets: what they run, and who spawned them
  Stopping stopping = Stopping::allowed;
  /// Walk only these (ids, hex addresses or unique names); empty: all. The others are in the snapshot too,
  /// unwalked.
  std::vector<std::string> ids;
  /// Called now and then with what is being done and how far (done, total); may be empty.
  std::function<void(const char* what, std::uint64_t done, std::uint64_t total)> progress;
};

/// An opened target with everything learned about it: rules and symbols stay cached between snapshots.
/// Thread-safety: one thread at a time.
class Session {
 public:
  explicit Session(std::unique_ptr<Target> target);
  ~Session();

  /// Takes one snapshot. A live target is refreshed first. Fails only when nothing can be shown: `gone`,
  /// `not_permitted`, `corrupt`, `unsupported`, `bad_argument` (an id that does not exist; the message names
  /// it). A target without greenlets gives an empty snapshot.
  Result<Snapshot> take(const SnapshotOptions& options);

  /// The stack pointer of the outermost frame of a suspended or orphaned greenlet; 0 when its base is not
  /// reached. For targets that have stood still since the snapshot that told of the greenlet.
  Address outermost_sp(const Greenlet& greenlet);

  Target& target() noexcept;
  const UnwindStats& unwind_stats() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coppice::inspect
