// gevent's objects, recognised by the names of their types and by what they point to.
//
// A waiting greenlet's C stack holds the object it waits on, and that object leads back to the greenlet:
//
//     hub.wait(io)     io.args[0] is a Waiter, and Waiter.greenlet is the greenlet
//     event.wait()     event._links holds the greenlet's bound method `switch`
//     greenlet.join()  the other greenlet's _links holds it
//     joinall()        the _links of those that are not done hold the `switch` of a Waiter of the greenlet
//     queue.get()      queue.getters (a deque) holds a Waiter, and Waiter.greenlet is the greenlet; so
//                      queue.putters, where a Channel has tuples of an item and a Waiter
//
// Only what leads back counts: a pointer that merely lies on a stack may be left over from an earlier call.
// The layouts of gevent's extension types (gevent/*.pxd, 20.9 to 26.9) differ, and those of the same classes
// in pure Python (PURE_PYTHON=1) have slots, so fields are found by what they hold. On libuv watchers are
// Python objects.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "inspect/waits/heap.hpp"
#include "inspect/waits/queue_use.hpp"

namespace coppice::inspect {

/// What can be waited on.
enum class GeventKind : std::uint8_t {
  none,
  waiter,
  io,
  timer,
  child,
  signal,
  stat,
  other_watcher,
  event,
  result,
  semaphore,
  queue,
  channel,
  many,  ///< what gevent.joinall(), wait() and iwait() go through
};

/// By the whole name of a class; none for one that gevent does not have.
GeventKind gevent_kind(std::string_view class_name);

/// Follows gevent's objects. Answers are provisional while Heap::pending().
class GeventObjects {
 public:
  explicit GeventObjects(Heap& heap) : heap_(heap) {}

  /// What an object is: by its class, or the first of gevent's that this derives from.
  GeventKind kind_of(Address object);

  /// Is it a Waiter that will switch to this greenlet?
  bool waits_for(Address waiter, Address greenlet);
  /// Is the first argument of the watcher's callback that Waiter?
  bool watcher_calls(Address watcher, Address waiter);
  /// Does the object's list of links hold the `switch` of the greenlet, or of a Waiter?
  bool notifies(Address object, Address greenlet);
  /// Does one of the queue's deques hold the Waiter?
  bool queues(Address queue, Address waiter);
  /// Of the objects that gevent.joinall() and the like go through, those that are to call that Waiter still;
  /// empty when it is another one's.
  std::vector<Address> remaining(Address iterator, Address waiter);
  /// How many items the queue has, and how many wait on it.
  QueueUse use_of(Address queue);

  /// What gevent's io watches: libev's ev_io inside of it, on libuv its Python attributes.
  struct Io {
    int fd = -1;
    bool reads = false, writes = false;
  };
  std::optional<Io> io(Address watcher);
  /// When the timer of libev or libuv inside of gevent's is due, in seconds of CLOCK_MONOTONIC.
  std::optional<double> timer_due(Address watcher);

 private:
  struct Held {
    std::unordered_set<Address> switched;  ///< whose `switch` its list holds
    std::unordered_set<Address> queued;    ///< what its deques hold
  };
  static std::optional<Io> io_of(std::int64_t fd, std::uint64_t events);
  bool in_python(Address watcher);
  std::optional<Io> io_in_python(Address watcher);
  std::optional<double> timer_due_in_python(Address watcher);
  std::optional<double> real_attribute(Address object, std::string_view name);
  std::vector<std::uint64_t> fields(Address object);
  const Held* held(Address object);
  std::optional<std::uint64_t> shift_of_active(Address watcher);

  Heap& heap_;
  std::unordered_map<Address, Held> held_;
  struct Kind {
    std::optional<GeventKind> known;
    std::uint32_t asked = 0;  ///< in which round of the Heap
  };
  std::unordered_map<Address, Kind> kinds_;  ///< by type
};

}  // namespace coppice::inspect
