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
constexpr std::uint64_t largest_object = 0x200;

// gevent/libev/corecext.pyx: loop, callback and args, then the libev structure (libev/ev.h): active, pending,
// priority, data, callback; then of ev_io next, fd, events, of ev_timer `at`. The libev that gevent carries
// has no `data`, that of a system has: which of the two is told by the size of the object.
constexpr std::uint64_t watcher_args = 0x20;
constexpr std::uint64_t watcher_active = 0x40;
constexpr std::uint64_t size_without_data = 0x68, size_with_data = 0x70;
constexpr std::uint64_t io_fd = 0x60, timer_at = 0x58;  // where there is no `data`
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

/// The words of an object, and of no other behind it.
std::vector<std::uint64_t> GeventObjects::fields(Address object) {
  const auto type = heap_.word(object + PythonLayout::object_type);
  const auto size = type ? heap_.word(*type + PythonLayout::type_basic_size) : std::nullopt;
  if (!size || *size <= first_field || *size > largest_object) return {};
  return heap_.words(object + first_field, static_cast<std::size_t>((*size - first_field) / sizeof(Address)));
}

/// What an object's lists and deques hold. Read once: an event on which ten thousand wait is on ten thousand
/// stacks.
const GeventObjects::Held* GeventObjects::held(Address object) {
  if (const auto known = held_.find(object); known != held_.end()) return &known->second;
  Held held;
  const bool whole = heap_.answered([&] {
    for (const Address field : fields(object)) {
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
  });
  return whole ? &held_.emplace(object, std::move(held)).first->second : nullptr;
}

bool GeventObjects::notifies(Address object, Address greenlet) {
  const Held* what = held(object);
  return what != nullptr && what->greenlets.contains(greenlet);
}

bool GeventObjects::queues(Address queue, Address waiter) {
  const Held* what = held(queue);
  return what != nullptr && what->queued.contains(waiter);
}

/// How far the fields behind libev's `data` are from where they are without it; none for a layout that is not
/// known, and for a watcher that is not active.
std::optional<std::uint64_t> GeventObjects::shift_of_active(Address watcher) {
  const auto active = heap_.word(watcher + watcher_active);
  const auto type = heap_.word(watcher + PythonLayout::object_type);
  const auto size = type ? heap_.word(*type + PythonLayout::type_basic_size) : std::nullopt;
  if (!active || !size || static_cast<std::uint32_t>(*active) == 0) return std::nullopt;
  if (size != size_without_data && size != size_with_data) return std::nullopt;
  return *size - size_without_data;
}

std::optional<GeventObjects::Io> GeventObjects::io(Address watcher) {
  const auto shift = shift_of_active(watcher);
  const auto both = shift ? heap_.word(watcher + io_fd + *shift) : std::nullopt;
  if (!both) return std::nullopt;
  const auto events = static_cast<std::uint32_t>(*both >> 32U);
  Io io;
  io.fd = static_cast<int>(static_cast<std::uint32_t>(*both));
  io.reads = (events & ev_read) != 0;
  io.writes = (events & ev_write) != 0;
  if (io.fd < 0 || (!io.reads && !io.writes)) return std::nullopt;
  return io;
}

std::optional<double> GeventObjects::timer_due(Address watcher) {
  const auto shift = shift_of_active(watcher);
  const auto at = shift ? heap_.word(watcher + timer_at + *shift) : std::nullopt;
  if (!at) return std::nullopt;
  const auto due = std::bit_cast<double>(*at);
  if (!std::isfinite(due) || due <= 0 || due > 1e12) return std::nullopt;
  return due;
}

}  // namespace coppice::inspect
