#include "samples/server/waiting.hpp"

#include <algorithm>

namespace sample {

void WaitQueue::wait(std::uint64_t value) {
  const coppice::WaitingOn waiting(kind_, value);
  const coppice::Greenlet self = coppice::current();
  waiting_.push_back(self);
  try {
    loop_.wait();
  } catch (...) {
    waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), self), waiting_.end());
    throw;
  }
}

bool WaitQueue::wake_one() {
  if (waiting_.empty()) return false;
  loop_.wake_soon(std::move(waiting_.front()));
  waiting_.pop_front();
  return true;
}

void WaitQueue::wake_all() {
  while (wake_one()) continue;
}

void Lock::acquire() {
  while (owner_) queue_.wait(owner_.id());
  owner_ = coppice::current();
}

void Lock::release() {
  owner_ = {};
  queue_.wake_one();
}

}  // namespace sample
