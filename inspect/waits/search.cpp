#include "inspect/waits/search.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coppice::inspect {

Waiting wait_for_fd(const WaitContext& context, int fd, const char* direction) {
  std::string what = context.describe_fd ? context.describe_fd(fd) : std::string();
  if (what.empty()) what = fmt::format("fd {}", fd);
  return {"fd", static_cast<std::uint64_t>(fd), fmt::format("{} {}", direction, what), {}};
}

Waiting wait_for_timer(const WaitContext& context, Address timer, std::optional<double> due) {
  if (!due || !context.now) return {"timer", timer, "timer", {}};
  const double left = std::max(0.0, *due - *context.now);
  return {"timer", static_cast<std::uint64_t>(left * 1000), fmt::format("timer, {:.1f} s left", left), {}};
}

}  // namespace coppice::inspect
