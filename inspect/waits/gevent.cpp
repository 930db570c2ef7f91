#include "inspect/waits/gevent.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

#include "inspect/waits/gevent_objects.hpp"

namespace coppice::inspect {
namespace {

constexpr std::uint64_t word_size = 8;
/// How much of a stack is searched, from its innermost byte: gevent's own frames are there.
constexpr std::size_t searched = 3072;
constexpr int most_rounds = 64;

/// An object on a greenlet's stack that can be waited on.
struct Candidate {
  Address object = 0;
  GeventKind kind = GeventKind::none;
  const Greenlet* greenlet = nullptr;  ///< it is one: to be joined
};

/// One greenlet on the way to what it waits for.
struct Search {
  Greenlet* greenlet = nullptr;
  std::vector<Candidate> candidates;  ///< innermost first
  bool listed = false;                ///< all candidates are known
  bool named = false;
  bool done = false;
};

class Finder {
 public:
  Finder(const Target& target, const PythonLayout& layout, std::span<Greenlet* const> greenlets,
         const WaitContext& context)
      : context_(context), heap_(target.memory(), layout, target.mappings()), objects_(heap_) {
    for (Greenlet* greenlet : greenlets) {
      if (greenlet->provider != "cpython") continue;
      by_address_.emplace(greenlet->address, greenlet);
      searches_.emplace_back().greenlet = greenlet;
    }
  }

  void run() {
    for (int round = 0; round < most_rounds; ++round) {
      bool unfinished = false;
      for (Search& search : searches_) {
        if (search.done && search.named) continue;
        step(search);
        unfinished = unfinished || !search.done || !search.named;
      }
      if (!unfinished) return;
      heap_.fetch();
    }
  }

 private:
  void step(Search& search) {
    if (!search.named) {
      heap_.begin();
      name(*search.greenlet);
      search.named = !heap_.pending();
    }
    const State state = search.greenlet->state;
    if (state != State::suspended && state != State::orphaned) search.done = true;
    if (search.done) return;
    heap_.begin();
    if (!search.listed) list(search);
    if (!search.listed) return;
    auto waiting = decide(search);
    if (heap_.pending()) return;
    search.greenlet->waiting = std::move(waiting);
    search.done = true;
  }

  void name(Greenlet& greenlet) {
    if (const auto text = heap_.attribute(greenlet.address, "name")) {
      if (auto given = heap_.ascii(*text)) greenlet.name = std::move(*given);
    }
  }

  void list(Search& search) {
    const Greenlet& greenlet = *search.greenlet;
    std::vector<Candidate> candidates;
    const std::size_t size = std::min(greenlet.stack.size(), searched);
    for (std::size_t at = 0; at + word_size <= size; at += word_size) {
      Address object = 0;
      std::memcpy(&object, greenlet.stack.data() + at, word_size);
      if (object == greenlet.address || !heap_.plausible(object)) continue;
      const auto same = [object](const Candidate& other) { return other.object == object; };
      if (std::ranges::any_of(candidates, same)) continue;
      if (const auto other = by_address_.find(object); other != by_address_.end()) {
        candidates.push_back({object, GeventKind::none, other->second});
      } else if (const GeventKind kind = gevent_kind(heap_.type_name(object)); kind != GeventKind::none) {
        candidates.push_back({object, kind, nullptr});
      }
    }
    search.listed = !heap_.pending();
    if (search.listed) search.candidates = std::move(candidates);
  }

  std::optional<Waiting> decide(const Search& search) {
    const Address self = search.greenlet->address;
    Address waiter = 0;
    for (const Candidate& candidate : search.candidates) {
      if (candidate.kind == GeventKind::waiter && objects_.waits_for(candidate.object, self)) {
        waiter = candidate.object;
        break;
      }
    }
    for (const Candidate& candidate : search.candidates) {
      const bool watches = candidate.kind >= GeventKind::io && candidate.kind <= GeventKind::other_watcher;
      const bool links = candidate.greenlet != nullptr || candidate.kind == GeventKind::event ||
                         candidate.kind == GeventKind::result || candidate.kind == GeventKind::semaphore;
      const bool proven =
          (watches && waiter != 0 && objects_.watcher_calls(candidate.object, waiter)) ||
          (links && objects_.notifies(candidate.object, self)) ||
          (candidate.kind == GeventKind::queue && waiter != 0 && objects_.queues(candidate.object, waiter));
      if (proven) return describe(candidate);
    }
    if (waiter == 0) return std::nullopt;
    return Waiting{"hub", waiter, "the event loop", {}};  // a Waiter that something not known will wake
  }

  Waiting describe(const Candidate& candidate) {
    const auto object = [&](const char* kind, const char* detail) {
      return Waiting{kind, candidate.object, fmt::format("{} {:#x}", detail, candidate.object), {}};
    };
    if (candidate.greenlet != nullptr) {
      return {"greenlet", candidate.object, "the end of greenlet " + candidate.greenlet->id,
              candidate.greenlet->id};
    }
    switch (candidate.kind) {
      case GeventKind::io:
        return describe_io(candidate.object);
      case GeventKind::timer:
        return describe_timer(candidate.object);
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
        return object("semaphore", "semaphore");
      case GeventKind::queue:
        return object("queue", "queue");
      default:
        return object("watcher", "watcher");
    }
  }

  Waiting describe_io(Address watcher) {
    const auto io = objects_.io(watcher);
    if (!io) return {"io", watcher, fmt::format("io watcher {:#x}", watcher), {}};
    const char* direction = io->reads && io->writes ? "read or write" : io->reads ? "read" : "write";
    std::string what = context_.describe_fd ? context_.describe_fd(io->fd) : std::string();
    if (what.empty()) what = fmt::format("fd {}", io->fd);
    return {"fd", static_cast<std::uint64_t>(io->fd), fmt::format("{} {}", direction, what), {}};
  }

  Waiting describe_timer(Address watcher) {
    const auto due = objects_.timer_due(watcher);
    if (!due || !context_.now) return {"timer", watcher, "timer", {}};
    const double left = std::max(0.0, *due - *context_.now);
    return {"timer", static_cast<std::uint64_t>(left * 1000), fmt::format("timer, {:.1f} s left", left), {}};
  }

  const WaitContext& context_;
  Heap heap_;
  GeventObjects objects_;
  std::unordered_map<Address, const Greenlet*> by_address_;
  std::vector<Search> searches_;
};

}  // namespace

void find_gevent_waits(const Target& target, const PythonLayout& layout, std::span<Greenlet* const> greenlets,
                       const WaitContext& context) {
  Finder(target, layout, greenlets, context).run();
}

}  // namespace coppice::inspect
