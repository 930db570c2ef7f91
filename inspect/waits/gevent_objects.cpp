#include "inspect/waits/gevent_objects.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

namespace coppice::inspect {
namespace {

/// Fields of an extension type begin behind the object's head and Cython's vtable pointer.
constexpr std::uint64_t first_field = 0x18;
constexpr std::size_t most_fields = 16;

// gevent/libev/corecext.pyx: loop, callback and args, then the libev structure (libev/ev.h), which has two
// ints more than upstream's before `data` in no version; of ev_io next, fd, events; of ev_timer `at`.
constexpr std::uint64_t watcher_args = 0x20;
constexpr std::uint64_t io_active = 0x40;
constexpr std::uint64_t io_fd = 0x68;
constexpr std::uint64_t timer_at = 0x60;
constexpr std::uint32_t ev_read = 1, ev_write = 2;

}  // namespace

GeventKind gevent_kind(std::string_view type_name) {
  if (!type_name.starts_with("gevent.")) return GeventKind::none;
  const std::string_view name = type_name.substr(type_name.rfind('.') + 1);
  const std::string_view module = type_name.substr(0, type_name.size() - name.size() - 1);
  if (module == "gevent.libev.corecext") {
    constexpr std::array<std::pair<std::string_view, GeventKind>, 5> watchers{{{"io", GeventKind::io},
                                                                               {"timer", GeventKind::timer},
                                                                               {"child", GeventKind::child},
                                                                               {"signal", GeventKind::signal},
                                                                               {"stat", GeventKind::stat}}};
    for (const auto& [watcher, kind] : watchers) {
      if (name == watcher) return kind;
    }
    return name == "loop" ? GeventKind::none : GeventKind::other_watcher;
  }
  if (name.ends_with("Waiter")) return GeventKind::waiter;
  if (name == "Event") return GeventKind::event;
  if (name == "AsyncResult") return GeventKind::result;
  if (name == "Semaphore" || name == "BoundedSemaphore" || name == "DummySemaphore")
    return GeventKind::semaphore;
  if (name == "Queue" || name == "SimpleQueue" || name == "JoinableQueue" || name == "PriorityQueue" ||
      name == "LifoQueue" || name == "UnboundQueue" || name == "Channel") {
    return GeventKind::queue;
  }
  return GeventKind::none;
}

bool GeventObjects::waits_for(Address waiter, Address greenlet) {
  constexpr std::size_t fields = 5;  // hub, greenlet, value, exception
  const auto words = heap_.words(waiter + first_field, fields);
  return std::ranges::find(words, greenlet) != words.end();
}

bool GeventObjects::watcher_calls(Address watcher, Address waiter) {
  const auto args = heap_.word(watcher + watcher_args);
  if (!args || !heap_.plausible(*args)) return false;
  const auto items = heap_.items(*args);
  return !items.empty() && items.front() == waiter;
}

/// What an object's lists and deques hold. Read once: an event on which ten thousand wait is on ten thousand
/// stacks.
const GeventObjects::Held* GeventObjects::held(Address object) {
  if (const auto known = held_.find(object); known != held_.end()) return &known->second;
  const bool pending_before = heap_.pending();
  heap_.begin();
  Held held;
  for (const Address field : heap_.words(object + first_field, most_fields)) {
    if (!heap_.plausible(field)) continue;
    const std::string_view type = heap_.type_name(field);
    if (type == "collections.deque") {
      for (const Address item : heap_.items(field)) held.queued.insert(item);
    }
    if (type != "list") continue;
    for (const Address link : heap_.items(field)) {
      if (const auto method = heap_.bound_method(link)) held.greenlets.insert(method->self);
    }
  }
  if (heap_.pending()) return nullptr;
  if (pending_before) heap_.set_pending();
  return &held_.emplace(object, std::move(held)).first->second;
}

bool GeventObjects::notifies(Address object, Address greenlet) {
  const Held* what = held(object);
  return what != nullptr && what->greenlets.contains(greenlet);
}

bool GeventObjects::queues(Address queue, Address waiter) {
  const Held* what = held(queue);
  return what != nullptr && what->queued.contains(waiter);
}

std::optional<GeventObjects::Io> GeventObjects::io(Address watcher) {
  const auto active = heap_.word(watcher + io_active);
  const auto both = heap_.word(watcher + io_fd);
  if (!active || !both || static_cast<std::uint32_t>(*active) != 1) return std::nullopt;
  const auto events = static_cast<std::uint32_t>(*both >> 32U);
  Io io;
  io.fd = static_cast<int>(static_cast<std::uint32_t>(*both));
  io.reads = (events & ev_read) != 0;
  io.writes = (events & ev_write) != 0;
  if (io.fd < 0 || (!io.reads && !io.writes)) return std::nullopt;
  return io;
}

std::optional<double> GeventObjects::timer_due(Address watcher) {
  const auto active = heap_.word(watcher + io_active);
  const auto at = heap_.word(watcher + timer_at);
  if (!active || !at || static_cast<std::uint32_t>(*active) == 0) return std::nullopt;
  const auto due = std::bit_cast<double>(*at);
  if (!std::isfinite(due) || due < 0 || due > 1e12) return std::nullopt;
  return due;
}

}  // namespace coppice::inspect
