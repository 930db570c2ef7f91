// Greenlets that wait for each other.
#pragma once

#include <deque>
#include <vector>

#include "samples/server/event_loop.hpp"

namespace sample {

/// A queue of greenlets that wait until another one wakes them.
class WaitQueue {
 public:
  WaitQueue(EventLoop& loop, const char* kind) : loop_(loop), kind_(kind) {}

  /// Waits; `value` is what gltop shows beside the kind.
  void wait(std::uint64_t value);
  bool wake_one();
  void wake_all();

 private:
  EventLoop& loop_;
  const char* kind_;  ///< of static storage
  std::deque<coppice::Greenlet> waiting_;
};

/// Held by one greenlet at a time; handed on in order of arrival.
class Lock {
 public:
  explicit Lock(EventLoop& loop) : queue_(loop, "lock held by") {}
  void acquire();
  void release();

 private:
  WaitQueue queue_;
  coppice::Greenlet owner_;
};

/// Holds a Lock for a scope.
class Holding {
 public:
  explicit Holding(Lock& lock) : lock_(lock) { lock_.acquire(); }
  ~Holding() { lock_.release(); }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

 private:
  Lock& lock_;
};

}  // namespace sample
