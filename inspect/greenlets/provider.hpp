// A Provider finds the greenlets of one runtime in a target.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// How to read.
struct ReadOptions {
  bool stacks = true;  ///< false: `list` without frames; stack bytes are not read
  /// Whose stack bytes are wanted, where `stacks` are; empty: everyone's. Given greenlets whose id and
  /// address are set.
  std::function<bool(const Greenlet&)> wants_stack{};
  Stopping stopping = Stopping::allowed;  ///< may a thread on a CPU be stopped for its registers?
  int torn_retries = 5;                   ///< how often a greenlet that changed underneath is read again
};

/// Everything one Provider saw in one reading.
struct ProviderReading {
  std::vector<Greenlet> greenlets;  ///< by spawn order
  std::uint64_t torn = 0;           ///< readings thrown away because the target changed them
  std::uint64_t retried = 0;        ///< readings repeated
  std::uint64_t lost = 0;           ///< greenlets still torn after every retry (shown, marked torn)
  std::uint64_t switches = 0;       ///< total switches of all threads so far, where the runtime counts them
  std::uint64_t bytes_copied = 0;   ///< total bytes saved and restored so far, likewise
  std::vector<std::string> warnings;
};

/// Reads one kind of greenlets. Knows Target and Memory, nothing of walking, names or views.
/// Never modifies or (unless `Stopping::allowed` and only for registers of running threads) stops the target.
class Provider {
 public:
  virtual ~Provider() = default;
  virtual const char* name() const = 0;  ///< "coppice", "cpython"
  /// Reads all greenlets. Whatever could be read is in the result, with `error` on the greenlets that
  /// suffered; fails as a whole only when not even the tables could be read (`gone`, `corrupt`,
  /// `unsupported`).
  virtual Result<ProviderReading> read(const ReadOptions& options) = 0;

  /// Whether each of these, that read() has given and that did not run, is where it was then: its fields, its
  /// stack and its Python frames are the same; one that was unstarted or finished still is. They must have
  /// their stacks still, and are as before afterwards. For who reads more of them later from a target that
  /// runs. This default is for those whose greenlets say all by themselves.
  virtual std::vector<bool> still_there(std::span<Greenlet* const> greenlets) const {
    return std::vector<bool>(greenlets.size(), true);
  }
};

/// The providers that recognise something in the target, possibly none. The target must outlive them.
/// `unsupported` or `corrupt` when a runtime was recognised but its tables make no sense.
Result<std::vector<std::unique_ptr<Provider>>> find_providers(Target& target);

}  // namespace coppice::inspect
