// Snapshots of a real target.
#pragma once

#include <memory>
#include <utility>

#include "tui/snapshot_source.hpp"

namespace coppice::tui {

class SessionSource final : public SnapshotSource {
 public:
  explicit SessionSource(std::unique_ptr<inspect::Target> target) : session_(std::move(target)) {}

  inspect::Result<inspect::Snapshot> take(const inspect::SnapshotOptions& options) override {
    return session_.take(options);
  }

 private:
  inspect::Session session_;
};

}  // namespace coppice::tui
