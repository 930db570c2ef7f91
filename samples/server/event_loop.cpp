#include "samples/server/event_loop.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace sample {

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
}

EventLoop::~EventLoop() {
  ::close(epoll_);
}

void EventLoop::run() {
  hub_ = coppice::current();
  while (!stopped_) {
    wake_ready();
    wake_expired();
    if (!stopped_) wake_for_events();
  }
}

bool EventLoop::wait_readable(int fd, Clock::duration limit) {
  return wait_for(fd, EPOLLIN, "read fd", limit);
}

bool EventLoop::wait_writable(int fd, Clock::duration limit) {
  return wait_for(fd, EPOLLOUT, "write fd", limit);
}

void EventLoop::sleep_for(Clock::duration time) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  const coppice::WaitingOn waiting("timer ms", static_cast<std::uint64_t>(milliseconds));
  const auto timer = timers_.emplace(Clock::now() + time, Timer{coppice::current(), -1});
  try {
    wait();
  } catch (...) {
    timers_.erase(timer);  // thrown into while asleep: it has not expired
    throw;
  }
}

void EventLoop::wait() {
  hub_.switch_to();
}

bool EventLoop::wait_for(int fd, std::uint32_t events, const char* kind, Clock::duration limit) {
  const coppice::WaitingOn waiting(kind, static_cast<std::uint64_t>(fd));
  epoll_event event{};
  event.events = events | EPOLLONESHOT;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0 &&
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::system_category(), "epoll_ctl");
  }
  auto& waiter = waiters_[fd];
  waiter = {coppice::current(), timers_.end()};
  if (limit != Clock::duration::max()) {
    waiter.timer = timers_.emplace(Clock::now() + limit, Timer{coppice::current(), fd});
  }
  const auto forget = [this, fd] {
    const auto node = waiters_.extract(fd);
    if (node.mapped().timer != timers_.end()) timers_.erase(node.mapped().timer);
    return node.mapped().timed_out;
  };
  try {
    wait();
  } catch (...) {
    forget();
    throw;
  }
  return !forget();
}

void EventLoop::wake_ready() {
  for (auto& greenlet : std::exchange(ready_, {})) {
    if (!greenlet.finished()) greenlet.switch_to();
  }
}

void EventLoop::wake_expired() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    auto node = timers_.extract(timers_.begin());
    Timer& timer = node.mapped();
    if (timer.fd < 0) {
      const coppice::Greenlet greenlet = timer.greenlet;
      greenlet.switch_to();
    } else if (const auto waiter = waiters_.find(timer.fd); waiter != waiters_.end()) {
      waiter->second.timer = timers_.end();
      waiter->second.timed_out = true;
      const coppice::Greenlet greenlet = waiter->second.greenlet;
      greenlet.switch_to();
    }
  }
}

void EventLoop::wake_for_events() {
  epoll_event events[256];
  const int timeout = ready_.empty() ? milliseconds_to_next_timer() : 0;
  const int count = ::epoll_wait(epoll_, events, static_cast<int>(std::size(events)), timeout);
  for (int i = 0; i < count; ++i) {
    const auto waiter = waiters_.find(events[i].data.fd);
    if (waiter == waiters_.end()) continue;
    const coppice::Greenlet greenlet = waiter->second.greenlet;
    greenlet.switch_to();
  }
}

int EventLoop::milliseconds_to_next_timer() const {
  if (timers_.empty()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

}  // namespace sample
