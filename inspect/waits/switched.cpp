#include "inspect/waits/switched.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coppice::inspect {

std::optional<Waiting> SwitchedWaits::find(WaitSearch& search) {
  const Greenlet& greenlet = *search.greenlet;
  if (greenlet.state != State::suspended || !greenlet.parent) return std::nullopt;
  const auto parent = searches_.find(*greenlet.parent);
  if (parent == searches_.end()) return std::nullopt;
  const WaitSearch& other = *parent->second;
  const bool loop = std::ranges::any_of(heap_.classes(other.greenlet->address),
                                        [](const std::string& name) { return name.starts_with("gevent."); });
  if (loop) return std::nullopt;
  if (is_sqlalchemy(greenlet)) return awaiting(search);
  std::string detail = fmt::format("a switch; its parent is {}", other.greenlet->id);
  const std::string function = other.variables ? other.variables->function(heap_) : std::string();
  if (!function.empty()) detail += ", in " + function;
  return Waiting{"parent", other.greenlet->address, std::move(detail), {}};
}

bool SwitchedWaits::is_sqlalchemy(const Greenlet& greenlet) {
  return std::ranges::any_of(heap_.classes(greenlet.address), [](const std::string& name) {
    return name.starts_with("sqlalchemy.") && name.ends_with("._AsyncIoGreenlet");
  });
}

std::optional<Waiting> SwitchedWaits::awaiting(WaitSearch& search) {
  if (!search.variables) return std::nullopt;
  const auto& frames = search.variables->frames(heap_, 1);
  const std::string function = search.variables->function(heap_);
  // Until 2.0, and from 2.1 on.
  if (function != "await_only" && function != "await_fallback" && function != "await_") return std::nullopt;
  if (frames.empty() || frames.front().values.empty()) return std::nullopt;
  const Address awaitable = frames.front().values.front();  // its first argument
  if (!heap_.plausible(awaitable)) return std::nullopt;
  std::string what(heap_.type_name(awaitable));
  if (what == "coroutine") {
    const auto name = heap_.word(awaitable + layout_.coroutine_name);
    if (const auto text = name ? heap_.ascii(*name) : std::nullopt) what += " " + *text;
  }
  if (what.empty()) return std::nullopt;
  return Waiting{"await",
                 awaitable,
                 fmt::format("{}, awaited by its parent {}", what, search.greenlet->parent.value_or("?")),
                 {}};
}

}  // namespace coppice::inspect
