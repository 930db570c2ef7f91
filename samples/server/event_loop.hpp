// The hub: greenlets wait here for descriptors and for time to pass; the greenlet that calls run() wakes
// them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "coppice/greenlet.hpp"

namespace sample {

using Clock = std::chrono::steady_clock;

/// One per thread. All waiting functions are for greenlets other than the hub.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Waits for events and switches to whom they concern, until stop(). The caller becomes the hub.
  void run();
  void stop() noexcept { stopped_ = true; }

  /// Waits until the descriptor can be read or written. False when `limit` passed first. At most one greenlet
  /// may wait for a descriptor.
  bool wait_readable(int fd, Clock::duration limit = Clock::duration::max());
  bool wait_writable(int fd, Clock::duration limit = Clock::duration::max());

  void sleep_for(Clock::duration time);

  /// Lets a greenlet go on (or start) at the next turn of the loop.
  void wake_soon(coppice::Greenlet greenlet) { ready_.push_back(std::move(greenlet)); }

  /// Switches to the hub; somebody must have arranged for being woken.
  void wait();

 private:
  struct Timer {
    coppice::Greenlet greenlet;
    int fd;  ///< whose waiter to remove as well, or -1
  };
  using Timers = std::multimap<Clock::time_point, Timer>;
  struct Waiter {
    coppice::Greenlet greenlet;
    Timers::iterator timer;  ///< end() without a limit
    bool timed_out = false;
  };

  bool wait_for(int fd, std::uint32_t events, const char* kind, Clock::duration limit);
  void wake_ready();
  void wake_expired();
  void wake_for_events();
  int milliseconds_to_next_timer() const;

  int epoll_;
  bool stopped_ = false;
  coppice::Greenlet hub_;
  std::vector<coppice::Greenlet> ready_;
  Timers timers_;
  std::map<int, Waiter> waiters_;  ///< by descriptor
};

}  // namespace sample
