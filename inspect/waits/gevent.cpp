#include "inspect/waits/gevent.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "inspect/waits/owned_lock.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint64_t word_size = 8;
/// How much of a stack is searched, from its innermost byte: gevent's own frames are there. Nearly all that
/// gevent waits for lies nearby, and what lies further out need then not be looked at.
constexpr std::size_t nearby = 1024, searched = 3072;

bool is_among(std::span<const GeventCandidate> candidates, Address object) {
  return std::ranges::find(candidates, object, &GeventCandidate::object) != candidates.end();
}

}  // namespace

void GeventWaits::add(std::vector<GeventCandidate>& candidates, Address object, Address self) {
  if (object == self || !heap_.plausible(object)) return;
  if (is_among(candidates, object)) return;
  if (const auto other = greenlets_.find(object); other != greenlets_.end()) {
    candidates.push_back({object, GeventKind::none, other->second, true});
  } else if (const GeventKind kind = objects_.kind_of(object); kind != GeventKind::none) {
    candidates.push_back({object, kind, nullptr, true});
  }
}

/// Everything on this part of the stack that may be an object.
std::vector<GeventCandidate> GeventWaits::objects_on(const Greenlet& greenlet, std::size_t from,
                                                     std::size_t to) {
  std::vector<GeventCandidate> objects;
  const std::size_t size = std::min(greenlet.stack.size(), to);
  for (std::size_t at = from; at + word_size <= size; at += word_size) {
    Address object = 0;
    std::memcpy(&object, greenlet.stack.data() + at, word_size);
    if (object == greenlet.address || nones_[place_of(object)] == object || !heap_.plausible(object))
      continue;
    const auto other = greenlets_.find(object);
    const bool known = other != greenlets_.end();
    objects.push_back({object, GeventKind::none, known ? other->second : nullptr, known});
  }
  return objects;
}

/// Tells the candidates up to there; false while not all are known.
bool GeventWaits::list(WaitSearch& search, std::size_t reach) {
  if (search.reached >= reach) return true;
  if (search.listed.empty()) search.listed = objects_on(*search.greenlet, search.reached, reach);
  // What is none is not asked about again in the next round.
  std::erase_if(search.listed, [this](GeventCandidate& object) {
    if (object.known) return false;
    object.known = heap_.answered([&] { object.kind = objects_.kind_of(object.object); });
    const bool none = object.known && object.kind == GeventKind::none;
    if (none) nones_[place_of(object.object)] = object.object;
    return none;
  });
  if (heap_.pending()) return false;
  for (const GeventCandidate& object : std::exchange(search.listed, {})) {
    if (!is_among(search.candidates, object.object)) search.candidates.push_back(object);
  }
  search.reached = reach;
  return true;
}

std::optional<Waiting> GeventWaits::find(WaitSearch& search) {
  for (const std::size_t reach : {nearby, searched}) {
    const bool whole = reach == searched;
    if (search.reached > reach) continue;  // that was not enough
    if (!list(search, reach)) return std::nullopt;
    if (auto waiting = prove(search, search.candidates, whole)) return waiting;
    if (heap_.pending() && !whole) return std::nullopt;
  }
  std::vector<GeventCandidate> candidates = search.candidates;
  if (search.variables) {
    for (const FrameVariables& frame : search.variables->frames(heap_)) {
      for (const Address object : frame.values) add(candidates, object, search.greenlet->address);
    }
    if (auto waiting = prove(search, candidates, true)) return waiting;
  }
  const Address waiter = waiter_of(search, candidates);
  if (waiter == 0) return std::nullopt;
  return Waiting{"hub", waiter, "the event loop", {}};  // a Waiter that something not known will wake
}

/// The Waiter that will switch to the greenlet; 0: none is known.
Address GeventWaits::waiter_of(const WaitSearch& search, std::span<const GeventCandidate> candidates) {
  const auto waits = [&](const GeventCandidate& candidate) {
    return candidate.kind == GeventKind::waiter &&
           objects_.waits_for(candidate.object, search.greenlet->address);
  };
  const auto found = std::ranges::find_if(candidates, waits);
  return found == candidates.end() ? 0 : found->object;
}

/// The innermost candidate that leads back to the greenlet. `whole`: there are no others further out; else
/// none is told that one of those could take precedence of.
std::optional<Waiting> GeventWaits::prove(WaitSearch& search, std::span<const GeventCandidate> candidates,
                                          bool whole) {
  const Address self = search.greenlet->address, waiter = waiter_of(search, candidates);
  for (const GeventCandidate& candidate : candidates) {
    const bool watches = candidate.kind >= GeventKind::io && candidate.kind <= GeventKind::other_watcher;
    const bool links = candidate.greenlet != nullptr || candidate.kind == GeventKind::event ||
                       candidate.kind == GeventKind::result || candidate.kind == GeventKind::semaphore;
    const bool queues = candidate.kind == GeventKind::queue || candidate.kind == GeventKind::channel;
    const bool by_waiter = watches || queues || candidate.kind == GeventKind::many;
    if (by_waiter && waiter == 0 && !whole) return std::nullopt;  // the Waiter may lie further out
    const bool proven = (watches && waiter != 0 && objects_.watcher_calls(candidate.object, waiter)) ||
                        (links && objects_.notifies(candidate.object, self)) ||
                        (queues && waiter != 0 && objects_.queues(candidate.object, waiter));
    if (proven) return describe(search, candidate);
    if (candidate.kind != GeventKind::many || waiter == 0) continue;
    const std::vector<Address> remaining = objects_.remaining(candidate.object, waiter);
    if (!remaining.empty()) return describe_many(candidate.object, remaining);
  }
  return std::nullopt;
}

/// The first of them that is done will wake it.
Waiting GeventWaits::describe_many(Address iterator, std::span<const Address> remaining) {
  constexpr std::size_t named = 3;
  std::vector<const Greenlet*> greenlets;
  for (const Address object : remaining) {
    if (const auto found = greenlets_.find(object); found != greenlets_.end())
      greenlets.push_back(found->second);
  }
  if (remaining.size() == 1 && greenlets.size() == 1) return describe_join(*greenlets.front());
  std::string detail = "the first to be done of ";
  const std::size_t others = remaining.size() - greenlets.size();
  if (!greenlets.empty()) {
    detail += fmt::format("{} greenlet{}", greenlets.size(), greenlets.size() == 1 ? "" : "s");
    if (others > 0) detail += " and ";
  }
  if (others > 0) detail += fmt::format("{} other object{}", others, others == 1 ? "" : "s");
  for (std::size_t i = 0; i < std::min(named, greenlets.size()); ++i) {
    detail += (i == 0 ? ": " : ", ") + greenlets[i]->id;
  }
  if (greenlets.size() > named) detail += ", ...";
  return {"any", iterator, std::move(detail), {}};
}

Waiting GeventWaits::describe_join(const Greenlet& other) {
  return {"greenlet", other.address, "the end of greenlet " + other.id, other.id};
}

Waiting GeventWaits::describe(WaitSearch& search, const GeventCandidate& candidate) {
  const auto object = [&](const char* kind, const char* detail) {
    return Waiting{kind, candidate.object, fmt::format("{} {:#x}", detail, candidate.object), {}};
  };
  if (candidate.greenlet != nullptr) return describe_join(*candidate.greenlet);
  switch (candidate.kind) {
    case GeventKind::io:
      return describe_io(candidate.object);
    case GeventKind::timer:
      return wait_for_timer(context_, candidate.object, objects_.timer_due(candidate.object));
    case GeventKind::child:
      return object("child", "a child process,");
    case GeventKind::signal:
      return object("signal", "a signal,");
    case GeventKind::stat:
      return object("stat", "a change of a file,");
    case GeventKind::event:
      return object("event", "event");
    case GeventKind::result:
      return object("result", "result");
    case GeventKind::semaphore:
      if (auto lock = wait_for_owned_lock(heap_, search, candidate.object, greenlets_)) return *lock;
      return object("semaphore", "semaphore");
    case GeventKind::queue:
    case GeventKind::channel:
      return wait_for_queue(heap_, candidate.object, objects_.use_of(candidate.object));
    default:
      return object("watcher", "watcher");
  }
}

Waiting GeventWaits::describe_io(Address watcher) {
  const auto io = objects_.io(watcher);
  if (!io) return {"io", watcher, fmt::format("io watcher {:#x}", watcher), {}};
  const char* direction = io->reads && io->writes ? "read or write" : io->reads ? "read" : "write";
  return wait_for_fd(context_, io->fd, direction);
}

}  // namespace coppice::inspect
