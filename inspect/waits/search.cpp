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

std::string title_of(Heap& heap, Address object) {
  const std::string_view type = heap.type_name(object);
  return fmt::format("<{} at {:#x}>", type.substr(type.rfind('.') + 1), object);
}

Waiting wait_for_queue(Heap& heap, Address queue, const QueueUse& use) {
  std::string text;
  const auto add = [&text](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  const auto add_number = [&add](std::optional<std::uint64_t> number, const char* what) {
    if (number && *number > 0) add(fmt::format("{} {}{}", *number, what, *number == 1 ? "" : "s"));
  };
  if (use.items == 0) add("empty");
  add_number(use.items, "item");
  add_number(use.getters, "getter");
  add_number(use.putters, "putter");
  std::string detail = "queue " + title_of(heap, queue);
  if (!text.empty()) detail += " (" + text + ")";
  return {"queue", queue, std::move(detail), {}};
}

}  // namespace coppice::inspect
