// RuleLearner: gets rules from the worker, and finds out which pc is to blame when the worker dies.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "inspect/base/result.hpp"
#include "inspect/unwind/rule_cache.hpp"
#include "inspect/worker/worker.hpp"

namespace coppice::inspect {

/// Asks for many rules in one exchange. When one of them crashes or stalls the worker, that one is recorded
/// as such and the rest are asked of a new worker, so one broken FDE costs only the frames that need it. The
/// time that endless CFI can cost is bounded: items of a file that has stalled get less and less, in the end
/// none. Thread-safety: one thread at a time.
class RuleLearner {
 public:
  /// `worker` must outlive this.
  explicit RuleLearner(Worker& worker) : worker_(worker) {}

  /// The rules, in the order of the keys; fails only when no worker can be started.
  Result<std::vector<Rule>> learn(std::span<const FileKey> keys);

 private:
  struct Trouble {
    unsigned stalls = 0;
    unsigned crashes = 0;
  };
  std::uint32_t allowed_cpu_ms(std::uint32_t file) const;
  Result<void> learn_together(std::span<const FileKey> keys, std::vector<Rule>& rules);
  Result<void> learn_singly(std::span<const FileKey> keys, std::vector<Rule>& rules);
  Result<Worker::Outcome> ask(std::span<const FileKey> keys, std::uint16_t batch, std::vector<Rule>& rules);

  Worker& worker_;
  std::map<std::uint32_t, Trouble> troubles_;  // files that crashed or stalled a worker
};

}  // namespace coppice::inspect
