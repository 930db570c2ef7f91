// What the greenlets of an eventlet program wait for.
//
// eventlet is written in Python. A greenlet that waits has called BaseHub.switch(), and who called that has
// the object that the greenlet waits on in a local variable; that object leads back to the greenlet:
//
//     trampoline()            listener.cb is the greenlet's bound method `switch`
//     sleep()                 timer.tpl[0] is it; when it is due stands in hub.timers
//     Event.wait()            self._waiters holds the greenlet
//     GreenThread.wait()      self._exit_event is that event: the end of another greenlet
//     Semaphore.acquire()     self._waiters holds the greenlet; of an RLock see owned_lock.hpp
//     LightQueue.get(), put() self.getters or self.putters holds a Waiter, and Waiter.greenlet is the
//     greenlet
//
// Classes are told by module and name, derived ones by what they derive from. eventlet 0.25 to 0.40.
#pragma once

#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "inspect/waits/heap.hpp"
#include "inspect/waits/search.hpp"

namespace coppice::inspect {

/// Thread-safety: one thread at a time.
class EventletWaits {
 public:
  /// All references must outlive the object. `greenlets`: all there are, by address.
  EventletWaits(Heap& heap, const WaitContext& context,
                const std::unordered_map<Address, const Greenlet*>& greenlets)
      : heap_(heap), context_(context), greenlets_(greenlets) {}

  /// None when it has not called an eventlet hub. Provisional while Heap::pending().
  std::optional<Waiting> find(WaitSearch& search);

 private:
  enum class Kind : std::uint8_t { none, hub, listener, timer, event, semaphore, waiter, queue, greenlet };
  /// A variable of one of the innermost frames.
  struct Candidate {
    Address object = 0;
    Kind kind = Kind::none;
  };
  struct Found {
    Address hub = 0;
    std::vector<Candidate> candidates;  ///< innermost first
  };

  Kind kind_of(Address object);
  std::optional<Found> look(WaitSearch& search);
  std::optional<Waiting> prove(WaitSearch& search, const Found& found, const Candidate& candidate);
  std::optional<Waiting> event(const Found& found, Address event, const Greenlet& greenlet);
  std::optional<Waiting> queue(const Found& found, Address queue, const Greenlet& greenlet);
  std::optional<Waiting> listener(Address listener, const Greenlet& greenlet);
  std::optional<Waiting> timer(Address hub, Address timer, const Greenlet& greenlet);
  bool switches_to(std::optional<Address> method, const Greenlet& greenlet);
  bool holds(Address object, std::string_view attribute, Address item);
  const std::unordered_set<Address>* items(Address container);
  std::optional<double> due(Address hub, Address timer);

  Heap& heap_;
  const WaitContext& context_;
  const std::unordered_map<Address, const Greenlet*>& greenlets_;
  std::unordered_map<Address, std::unordered_set<Address>> items_;        ///< by the container
  std::unordered_map<Address, std::unordered_map<Address, double>> due_;  ///< timers, by hub
};

}  // namespace coppice::inspect
