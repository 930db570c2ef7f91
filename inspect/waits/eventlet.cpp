#include "inspect/waits/eventlet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "inspect/waits/owned_lock.hpp"

namespace coppice::inspect {
namespace {

/// eventlet.queue.Waiter: the first of its __slots__, behind the object's head.
constexpr std::uint64_t waiter_greenlet = 0x10;

Waiting wait_for(const char* kind, Address object) {
  return {kind, object, fmt::format("{} {:#x}", kind, object), {}};
}

}  // namespace

EventletWaits::Kind EventletWaits::kind_of(Address object) {
  if (!heap_.plausible(object)) return Kind::none;
  if (greenlets_.contains(object)) return Kind::greenlet;
  static constexpr std::array<std::pair<std::string_view, Kind>, 7> classes{
      {{"eventlet.hubs.hub.BaseHub", Kind::hub},
       {"eventlet.hubs.hub.FdListener", Kind::listener},
       {"eventlet.hubs.timer.Timer", Kind::timer},
       {"eventlet.event.Event", Kind::event},
       {"eventlet.semaphore.Semaphore", Kind::semaphore},
       {"eventlet.queue.Waiter", Kind::waiter},
       {"eventlet.queue.LightQueue", Kind::queue}}};
  for (const std::string& name : heap_.classes(object)) {
    const auto known = std::ranges::find(classes, name, &std::pair<std::string_view, Kind>::first);
    if (known != classes.end()) return known->second;
  }
  return Kind::none;
}

std::optional<EventletWaits::Found> EventletWaits::look(WaitSearch& search) {
  if (!search.variables) return std::nullopt;
  if (heap_.function_name(search.variables->innermost_code(heap_)) != "switch") return std::nullopt;
  const auto& innermost = search.variables->frames(heap_, 1);
  if (innermost.empty()) return std::nullopt;
  Found found;
  for (const Address value : innermost.front().values) {
    if (kind_of(value) == Kind::hub) found.hub = value;
  }
  if (found.hub == 0) return std::nullopt;
  const auto& frames = search.variables->frames(heap_);
  for (std::size_t i = 1; i < frames.size(); ++i) {
    for (const Address value : frames[i].values) {
      const Kind kind = kind_of(value);
      if (kind != Kind::none && kind != Kind::hub) found.candidates.push_back({value, kind});
    }
  }
  return found;
}

std::optional<Waiting> EventletWaits::find(WaitSearch& search) {
  const Greenlet& greenlet = *search.greenlet;
  const auto found = look(search);
  if (!found) return std::nullopt;
  for (const Candidate& candidate : found->candidates) {
    if (auto waiting = prove(search, *found, candidate)) return waiting;
  }
  // It is in BaseHub.switch(), which makes the loop the greenlet's parent, and something not known will wake
  // it.
  const auto loop = heap_.attribute(found->hub, "greenlet");
  if (!loop || greenlet.parent != fmt::format("{:#x}", *loop)) return std::nullopt;
  return Waiting{"hub", found->hub, "the event loop", {}};
}

std::optional<Waiting> EventletWaits::prove(WaitSearch& search, const Found& found,
                                            const Candidate& candidate) {
  const Greenlet& greenlet = *search.greenlet;
  switch (candidate.kind) {
    case Kind::listener:
      return listener(candidate.object, greenlet);
    case Kind::timer:
      return timer(found.hub, candidate.object, greenlet);
    case Kind::event:
      return event(found, candidate.object, greenlet);
    case Kind::semaphore:
      if (!holds(candidate.object, "_waiters", greenlet.address)) return std::nullopt;
      if (auto lock = wait_for_owned_lock(heap_, search, candidate.object, greenlets_)) return lock;
      return wait_for("semaphore", candidate.object);
    case Kind::queue:
      return queue(found, candidate.object, greenlet);
    default:
      return std::nullopt;
  }
}

std::optional<Waiting> EventletWaits::listener(Address listener, const Greenlet& greenlet) {
  if (!switches_to(heap_.attribute(listener, "cb"), greenlet)) return std::nullopt;
  const auto number = heap_.attribute(listener, "fileno"), direction = heap_.attribute(listener, "evtype");
  const auto fd = number ? heap_.integer(*number) : std::nullopt;
  const auto word = direction ? heap_.ascii(*direction) : std::nullopt;
  if (!fd || *fd < 0 || *fd > INT32_MAX || (word != "read" && word != "write")) return std::nullopt;
  return wait_for_fd(context_, static_cast<int>(*fd), word->c_str());
}

std::optional<Waiting> EventletWaits::timer(Address hub, Address timer, const Greenlet& greenlet) {
  const auto call = heap_.attribute(timer, "tpl");  // gone when it was called or cancelled
  const auto parts = call ? heap_.items(*call) : std::vector<Address>();
  if (parts.empty() || !switches_to(parts.front(), greenlet)) return std::nullopt;
  const auto when = due(hub, timer);
  if (!when) return std::nullopt;
  // Another clock than CLOCK_MONOTONIC may have been given to the hub: then the time left is not known.
  const auto clock = heap_.attribute(hub, "clock");
  const auto function = clock ? heap_.bound_method(*clock) : std::nullopt;
  return wait_for_timer(context_, timer, function && function->name == "monotonic" ? when : std::nullopt);
}

std::optional<Waiting> EventletWaits::event(const Found& found, Address event, const Greenlet& greenlet) {
  if (!holds(event, "_waiters", greenlet.address)) return std::nullopt;
  for (const Candidate& other : found.candidates) {
    if (other.kind != Kind::greenlet || heap_.attribute(other.object, "_exit_event") != event) continue;
    const std::string& id = greenlets_.at(other.object)->id;
    return Waiting{"greenlet", other.object, "the end of greenlet " + id, id};
  }
  return wait_for("event", event);
}

std::optional<Waiting> EventletWaits::queue(const Found& found, Address queue, const Greenlet& greenlet) {
  for (const Candidate& waiter : found.candidates) {
    if (waiter.kind != Kind::waiter || heap_.word(waiter.object + waiter_greenlet) != greenlet.address)
      continue;
    if (!holds(queue, "getters", waiter.object) && !holds(queue, "putters", waiter.object)) continue;
    const auto size_of = [&](const char* attribute) {
      const auto container = heap_.attribute(queue, attribute);
      return container ? heap_.size(*container) : std::nullopt;
    };
    return wait_for_queue(heap_, queue, {size_of("queue"), size_of("getters"), size_of("putters")});
  }
  return std::nullopt;
}

bool EventletWaits::switches_to(std::optional<Address> method, const Greenlet& greenlet) {
  const auto bound = method ? heap_.bound_method(*method) : std::nullopt;
  return bound && bound->self == greenlet.address && bound->name == "switch";
}

bool EventletWaits::holds(Address object, std::string_view attribute, Address item) {
  const auto container = heap_.attribute(object, attribute);
  const auto* all = container ? items(*container) : nullptr;
  return all != nullptr && all->contains(item);
}

/// Read once: an event on which ten thousand wait is a variable of ten thousand greenlets.
const std::unordered_set<Address>* EventletWaits::items(Address container) {
  if (const auto known = items_.find(container); known != items_.end()) return &known->second;
  std::vector<Address> all;
  if (!heap_.answered([&] { all = heap_.items(container); })) return nullptr;
  return &items_.emplace(container, std::unordered_set<Address>(all.begin(), all.end())).first->second;
}

/// hub.timers and hub.next_timers hold tuples of a time and a timer.
std::optional<double> EventletWaits::due(Address hub, Address timer) {
  auto known = due_.find(hub);
  if (known == due_.end()) {
    std::unordered_map<Address, double> all;
    const bool whole = heap_.answered([&] {
      for (const char* name : {"timers", "next_timers"}) {
        const auto list = heap_.attribute(hub, name);
        if (!list) continue;
        for (const Address entry : heap_.items(*list)) {
          const auto parts = heap_.items(entry);
          const auto when = parts.size() == 2 ? heap_.real(parts[0]) : std::nullopt;
          if (when) all.emplace(parts[1], *when);
        }
      }
    });
    if (!whole) return std::nullopt;
    known = due_.emplace(hub, std::move(all)).first;
  }
  const auto found = known->second.find(timer);
  return found == known->second.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace coppice::inspect
