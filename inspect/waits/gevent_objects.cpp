#include "inspect/waits/gevent_objects.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

namespace coppice::inspect {
namespace {

/// Fields begin behind the object's head; in an extension type with Cython's vtable pointer.
constexpr std::uint64_t first_field = 0x10;
constexpr std::uint64_t largest_object = 0x200;

// gevent/libev/corecext.pyx: loop, callback and args, then the libev structure (libev/ev.h): active, pending,
// priority, data, callback; then of ev_io next, fd, events, of ev_timer `at`. The libev that gevent carries
// has no `data`, that of a system has: which of the two is told by the size of the object.
constexpr std::uint64_t watcher_args = 0x20;
constexpr std::uint64_t watcher_active = 0x40;
constexpr std::uint64_t size_without_data = 0x68, size_with_data = 0x70;
constexpr std::uint64_t io_fd = 0x60, timer_at = 0x58;  // where there is no `data`
constexpr std::uint32_t ev_read = 1, ev_write = 2;      // and libuv's UV_READABLE and UV_WRITABLE

constexpr std::string_view extension_of_libev = "gevent.libev.corecext";

// CDataObject of cffi: c_data, where the structure is.
constexpr std::uint64_t cffi_data = 0x18;
// uv_timer_t (include/uv.h and uv/unix.h of libuv 1): data, loop, type, close_cb, handle_queue[2], u[4],
// next_closing, flags, timer_cb, heap_node[3], timeout, repeat.
constexpr std::uint64_t uv_type = 0x10, uv_timeout = 0x80, uv_repeat = 0x88;
constexpr std::uint32_t uv_timer = 13;
constexpr double milliseconds = 1000, latest_due = 1e12;

}  // namespace

GeventKind gevent_kind(std::string_view class_name) {
  if (!class_name.starts_with("gevent.")) return GeventKind::none;
  const std::string_view name = class_name.substr(class_name.rfind('.') + 1);
  const std::string_view module = class_name.substr(0, class_name.size() - name.size() - 1);
  if (module == extension_of_libev || module == "gevent.libuv.watcher") {
    static constexpr std::array<std::pair<std::string_view, GeventKind>, 7> watchers{
        {{"io", GeventKind::io},
         {"_multiplexwatcher", GeventKind::io},
         {"timer", GeventKind::timer},
         {"child", GeventKind::child},
         {"signal", GeventKind::signal},
         {"stat", GeventKind::stat},
         {"watcher", GeventKind::other_watcher}}};
    for (const auto& [watcher, kind] : watchers) {
      if (name == watcher) return kind;
    }
    const bool other = module == extension_of_libev && name != "loop";
    return other ? GeventKind::other_watcher : GeventKind::none;
  }
  if (name.ends_with("Waiter")) return GeventKind::waiter;
  if (name == "Event") return GeventKind::event;
  if (name == "AsyncResult") return GeventKind::result;
  if (name == "Semaphore" || name == "BoundedSemaphore" || name == "DummySemaphore")
    return GeventKind::semaphore;
  if (name == "Queue" || name == "SimpleQueue" || name == "JoinableQueue" || name == "PriorityQueue" ||
      name == "LifoQueue" || name == "UnboundQueue") {
    return GeventKind::queue;
  }
  if (name == "_WaitIterator") return GeventKind::many;
  return name == "Channel" ? GeventKind::channel : GeventKind::none;
}

GeventKind GeventObjects::kind_of(Address object) {
  const auto type = heap_.word(object + PythonLayout::object_type);
  if (!type || !heap_.plausible(*type)) return GeventKind::none;
  const auto [entry, first] = kinds_.try_emplace(*type);
  if (const auto known = entry->second.known) return *known;
  if (!first && entry->second.asked == heap_.round()) {
    heap_.wait();  // thousands of objects have the same type
    return GeventKind::none;
  }
  entry->second.asked = heap_.round();
  GeventKind kind = GeventKind::none;
  const bool whole = heap_.answered([&] {
    kind = gevent_kind(heap_.type_name(object));
    if (kind != GeventKind::none) return;
    for (const std::string& name : heap_.classes(object)) {
      kind = gevent_kind(name);
      if (kind != GeventKind::none) return;
    }
  });
  if (whole) entry->second.known = kind;
  return kind;
}

bool GeventObjects::waits_for(Address waiter, Address greenlet) {
  constexpr std::size_t fields = 6;  // Cython's vtable, hub, greenlet, value, exception
  const auto words = heap_.words(waiter + first_field, fields);
  return std::ranges::find(words, greenlet) != words.end();
}

bool GeventObjects::in_python(Address watcher) {
  return !heap_.type_name(watcher).starts_with(extension_of_libev);
}

bool GeventObjects::watcher_calls(Address watcher, Address waiter) {
  auto args = in_python(watcher) ? heap_.attribute(watcher, "_args") : heap_.word(watcher + watcher_args);
  if (!args) args = heap_.attribute(watcher, "args");  // of one of several watchers of a descriptor
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
  const bool channel = kind_of(object) == GeventKind::channel;
  const bool whole = heap_.answered([&] {
    std::vector<std::uint64_t> all = fields(object);
    if (const auto links = heap_.attribute(object, "_links")) all.push_back(*links);  // in pure Python
    for (const Address field : all) {
      if (!heap_.plausible(field)) continue;
      const std::string_view type = heap_.type_name(field);
      if (type == "collections.deque") {
        const auto items = heap_.items(field);
        held.queued.insert(items.begin(), items.end());
        if (!channel) continue;
        for (const Address item : items) {
          const auto parts = heap_.items(item);  // of a tuple
          if (!parts.empty()) held.queued.insert(parts.back());
        }
      }
      if (type != "list") continue;
      for (const Address link : heap_.items(field)) {
        const auto method = heap_.bound_method(link);
        if (method && method->name == "switch") held.switched.insert(method->self);
      }
    }
  });
  return whole ? &held_.emplace(object, std::move(held)).first->second : nullptr;
}

bool GeventObjects::notifies(Address object, Address greenlet) {
  const Held* what = held(object);
  return what != nullptr && what->switched.contains(greenlet);
}

bool GeventObjects::queues(Address queue, Address waiter) {
  const Held* what = held(queue);
  return what != nullptr && what->queued.contains(waiter);
}

std::vector<Address> GeventObjects::remaining(Address iterator, Address waiter) {
  std::vector<std::uint64_t> all = fields(iterator);
  if (const auto named = heap_.attribute(iterator, "_waiter")) {  // in pure Python
    all = {*named, heap_.attribute(iterator, "_objects").value_or(0)};
  }
  std::vector<Address> objects;
  if (std::ranges::find(all, waiter) == all.end()) return objects;
  for (const Address field : all) {
    if (!heap_.plausible(field)) continue;
    if (auto items = heap_.items(field); !items.empty()) objects = std::move(items);
  }
  std::erase_if(objects,
                [&](Address object) { return !heap_.plausible(object) || !notifies(object, waiter); });
  return objects;
}

/// In pure Python the fields have names. In an extension type they stand side by side: a queue's items,
/// unless it is a channel, a deque of those that get, and one of those that put.
QueueUse GeventObjects::use_of(Address queue) {
  const auto size_of = [this](std::optional<Address> object) {
    return object && heap_.plausible(*object) ? heap_.size(*object) : std::nullopt;
  };
  if (const auto getters = heap_.attribute(queue, "getters")) {
    const auto items = heap_.attribute(queue, "queue"), putters = heap_.attribute(queue, "putters");
    return {size_of(items), size_of(getters), size_of(putters)};
  }
  std::vector<std::uint64_t> all = fields(queue);
  std::erase_if(all, [](std::uint64_t field) { return field <= 1; });  // since 24.10 a flag is between them
  const auto is_deque = [this](Address field) {
    return heap_.plausible(field) && heap_.type_name(field) == "collections.deque";
  };
  const auto first = std::ranges::find_if(all, is_deque);
  const auto behind = std::find_if_not(first, all.end(), is_deque);
  const bool channel = kind_of(queue) == GeventKind::channel, items_too = behind - first == 3;
  if (first == all.begin() || (behind - first != 2 && !items_too) || (channel && items_too)) return {};
  const auto getters = items_too ? first + 1 : first;
  return {channel ? std::nullopt : size_of(*(getters - 1)), size_of(*getters), size_of(*(getters + 1))};
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
  if (in_python(watcher)) return io_in_python(watcher);
  const auto shift = shift_of_active(watcher);
  const auto both = shift ? heap_.word(watcher + io_fd + *shift) : std::nullopt;
  if (!both) return std::nullopt;
  return io_of(static_cast<std::int32_t>(static_cast<std::uint32_t>(*both)), *both >> 32U);
}

std::optional<GeventObjects::Io> GeventObjects::io_in_python(Address watcher) {
  const auto events = heap_.attribute(watcher, "_events");
  const auto shared = heap_.attribute(watcher, "_watcher_ref");  // the one watcher that libuv has of an fd
  const auto fd = heap_.attribute(shared.value_or(watcher), "_fd");
  const auto number = fd ? heap_.integer(*fd) : std::nullopt;
  const auto mask = events ? heap_.integer(*events) : std::nullopt;
  if (!number || !mask) return std::nullopt;
  return io_of(*number, static_cast<std::uint64_t>(*mask));
}

std::optional<GeventObjects::Io> GeventObjects::io_of(std::int64_t fd, std::uint64_t events) {
  if (fd < 0 || fd > INT32_MAX || (events & (ev_read | ev_write)) == 0) return std::nullopt;
  return Io{static_cast<int>(fd), (events & ev_read) != 0, (events & ev_write) != 0};
}

/// The libuv timer of gevent's. libuv counts in milliseconds of CLOCK_MONOTONIC.
std::optional<double> GeventObjects::timer_due_in_python(Address watcher) {
  const auto after = real_attribute(watcher, "_after"), repeat = real_attribute(watcher, "_repeat");
  const auto data = heap_.attribute(watcher, "_watcher");
  if (!after || !repeat || !data || !heap_.type_name(*data).starts_with("_cffi_backend."))
    return std::nullopt;
  const auto timer = heap_.word(*data + cffi_data);
  if (!timer || !heap_.plausible(*timer)) return std::nullopt;
  const auto type = heap_.word(*timer + uv_type), timeout = heap_.word(*timer + uv_timeout);
  const auto every = heap_.word(*timer + uv_repeat);
  if (!type || !timeout || !every || static_cast<std::uint32_t>(*type) != uv_timer) return std::nullopt;
  // What it was made with tells whether this is the layout.
  const auto due = static_cast<double>(*timeout) / milliseconds;
  const bool same = std::abs(static_cast<double>(*every) - *repeat * milliseconds) <= 1;
  return same && due >= *after && due < latest_due ? std::optional(due) : std::nullopt;
}

/// A float or an int.
std::optional<double> GeventObjects::real_attribute(Address object, std::string_view name) {
  const auto value = heap_.attribute(object, name);
  if (!value) return std::nullopt;
  const auto number = heap_.integer(*value);
  return number ? static_cast<double>(*number) : heap_.real(*value);
}

std::optional<double> GeventObjects::timer_due(Address watcher) {
  if (in_python(watcher)) return timer_due_in_python(watcher);
  const auto shift = shift_of_active(watcher);
  const auto at = shift ? heap_.word(watcher + timer_at + *shift) : std::nullopt;
  if (!at) return std::nullopt;
  const auto due = std::bit_cast<double>(*at);
  if (!std::isfinite(due) || due <= 0 || due > latest_due) return std::nullopt;
  return due;
}

}  // namespace coppice::inspect
