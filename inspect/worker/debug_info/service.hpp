// The services of coppice-worker that read debug information: `debug_links` and `symbolize`.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <string>

#include "inspect/worker/debug_info/debug_info.hpp"
#include "inspect/worker/server/service.hpp"
#include "inspect/worker/symbolize_protocol.hpp"

namespace coppice::inspect::worker {

/// Answers where an image's debug information is. Keeps nothing.
class DebugLinksService final : public Service {
 public:
  explicit DebugLinksService(const Files& files) : files_(files) {}
  void serve(BodyReader& request, Answers& answers) override;
  void forget(FileId) override {}

 private:
  const Files& files_;
};

/// Names addresses. Keeps every module's DebugInfo until one of its files is released.
class SymbolizeService final : public Service {
 public:
  explicit SymbolizeService(const Files& files) : files_(files) {}
  void serve(BodyReader& request, Answers& answers) override;
  void forget(FileId file) override;

 private:
  struct Key {
    FileId image, debug, alternate;
    DebugDepth depth;
    auto operator<=>(const Key&) const = default;
  };
  struct Opened {
    std::unique_ptr<DebugInfo> info;  ///< null when it could not be opened
    std::string failure;              ///< why; told once
  };
  Opened& open(const SymbolizeRequest& request);

  const Files& files_;
  std::map<Key, Opened> opened_;
};

}  // namespace coppice::inspect::worker
