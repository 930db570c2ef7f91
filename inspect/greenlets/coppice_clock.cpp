#include "inspect/greenlets/coppice_clock.hpp"

namespace coppice::inspect {

CoppiceClock::CoppiceClock(const DebugTable& table)
    : reference_(table.clock_recent.ticks != 0 ? table.clock_recent : table.clock_start) {
  // Two readings closer than this say less about the rate than the runtime's own figure.
  constexpr std::int64_t far_apart_ns = 1'000'000'000;
  const coppice_debug_clock& first = table.clock_start;
  const coppice_debug_clock& last = table.clock_recent;
  std::int64_t ns = 0;
  const bool overflows = __builtin_sub_overflow(last.unix_ns, first.unix_ns, &ns);
  if (first.ticks != 0 && last.ticks > first.ticks && !overflows && ns >= far_apart_ns) {
    ns_per_tick_ = static_cast<double>(ns) / static_cast<double>(last.ticks - first.ticks);
  } else if (table.ticks_per_second != 0) {
    ns_per_tick_ = 1e9 / static_cast<double>(table.ticks_per_second);
  }
}

std::optional<std::int64_t> CoppiceClock::unix_ns(std::uint64_t ticks) const {
  if (ticks == 0 || reference_.ticks == 0 || ns_per_tick_ == 0) return std::nullopt;
  const bool before = ticks < reference_.ticks;
  const std::uint64_t distance = before ? reference_.ticks - ticks : ticks - reference_.ticks;
  const double ns = static_cast<double>(distance) * ns_per_tick_;
  constexpr double longest = 4e18;  // within int64, 126 years: beyond it the clock is broken
  std::int64_t result = 0;
  if (!(ns < longest)) return std::nullopt;
  const auto whole = static_cast<std::int64_t>(ns);
  const bool overflows = before ? __builtin_sub_overflow(reference_.unix_ns, whole, &result)
                                : __builtin_add_overflow(reference_.unix_ns, whole, &result);
  return overflows ? std::nullopt : std::optional(result);
}

}  // namespace coppice::inspect
