// From the runtime's time stamps to the time of day.
#pragma once

#include <cstdint>
#include <optional>

#include "inspect/greenlets/coppice_table.hpp"

namespace coppice::inspect {

/// Turns ticks into CLOCK_REALTIME by the table's readings of both clocks.
class CoppiceClock {
 public:
  explicit CoppiceClock(const DebugTable& table);

  /// Nanoseconds since 1970; none for 0 ticks (never) or when the rate is unknown.
  std::optional<std::int64_t> unix_ns(std::uint64_t ticks) const;

 private:
  coppice_debug_clock reference_;
  double ns_per_tick_ = 0;
};

}  // namespace coppice::inspect
