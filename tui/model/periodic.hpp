// Work that is done again and again in a thread of its own, so that keys are answered at once however long it
// takes.
#pragma once

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "inspect/base/unique_fd.hpp"

namespace coppice::tui {

/// Calls `work` every `interval`, and publishes what it returns. The second call comes sooner, since much can
/// only be told by comparing two results. After work that took longer than half the interval the thread rests
/// as long as the work took, so it never uses more than half of one CPU.
///
/// Signals are never delivered to the thread, except those that a thread brings upon itself. Results are
/// destroyed in the thread, too, once nobody else holds them: freeing a hundred thousand backtraces takes a
/// while.
///
/// The destructor does not wait: work under way is finished, and its result dropped. `work` therefore owns
/// all that it uses, and a program ends by _exit.
template <class T>
class Periodic {
 public:
  using Work = std::function<std::shared_ptr<const T>()>;
  using Interval = std::chrono::milliseconds;

  Periodic(Work work, Interval interval) : state_(std::make_shared<State>()) {
    state_->work = std::move(work);
    state_->interval = interval;
    state_->ready = inspect::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!state_->ready) throw std::system_error(errno, std::generic_category(), "eventfd");
    sigset_t blocked;
    sigset_t before;
    ::sigfillset(&blocked);
    for (const int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
      ::sigdelset(&blocked, synchronous);
    }
    ::pthread_sigmask(SIG_SETMASK, &blocked, &before);
    std::thread([state = state_] { state->run(); }).detach();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;
  ~Periodic() {
    change([](State& s) {
      s.ended = true;
      s.published.clear();
    });
  }

  /// Readable when there is something to take.
  int fd() const noexcept { return state_->ready.get(); }

  /// The newest result, or null when there was none since the last call. Throws what the work threw; then the
  /// thread has ended.
  std::shared_ptr<const T> take() {
    std::uint64_t count = 0;
    // Nothing to do about a failure: the descriptor is only a bell. One that rings from here on rings for the
    // next call.
    [[maybe_unused]] const ssize_t drained = ::read(fd(), &count, sizeof count);
    const std::lock_guard lock(state_->mutex);
    if (state_->thrown) std::rethrow_exception(std::exchange(state_->thrown, nullptr));
    return std::exchange(state_->newest, nullptr);
  }

  void set_paused(bool paused) {
    change([paused](State& s) { s.paused = paused; });
  }
  void set_interval(Interval interval) {
    change([interval](State& s) { s.interval = interval; });
  }
  /// Does the work once more as soon as possible, paused or not.
  void now() {
    change([](State& s) { s.at_once = true; });
  }

 private:
  struct State {
    using Clock = std::chrono::steady_clock;
    static constexpr Interval first_interval{250};

    std::mutex mutex;
    std::condition_variable changed;
    Work work;
    Interval interval{};
    bool paused = false;
    bool at_once = true;
    bool ended = false;
    inspect::UniqueFd ready;
    std::shared_ptr<const T> newest;
    std::vector<std::shared_ptr<const T>> published;  // keeps results until they can be destroyed here
    std::exception_ptr thrown;

    void run() {
      auto due = Clock::now();
      for (bool first = true; wait(due); first = false) {
        const auto began = Clock::now();
        std::shared_ptr<const T> result;
        try {
          result = work();
        } catch (...) {
          const std::lock_guard lock(mutex);
          thrown = std::current_exception();
          ring();
          break;
        }
        const auto took = Clock::now() - began;
        std::vector<std::shared_ptr<const T>> old;
        {
          const std::lock_guard lock(mutex);
          const Interval pause = first ? std::min(interval, first_interval) : interval;
          due = Clock::now() + std::max<Clock::duration>(pause - took, took);
          newest = result;
          ring();
          // Only this thread makes copies of what nobody else holds, so a count of one stays one.
          const auto unused = std::partition(published.begin(), published.end(),
                                             [](const auto& p) { return p.use_count() > 1; });
          std::move(unused, published.end(), std::back_inserter(old));
          published.erase(unused, published.end());
          published.push_back(std::move(result));
        }
      }
    }

    /// Until it is time (true) or all is over (false).
    bool wait(Clock::time_point due) {
      std::unique_lock lock(mutex);
      while (!ended && !at_once) {
        if (paused) {
          changed.wait(lock);
        } else if (changed.wait_until(lock, due) == std::cv_status::timeout) {
          break;
        }
      }
      at_once = false;
      return !ended;
    }

    void ring() const {
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = ::write(ready.get(), &one, sizeof one);
    }
  };

  template <class Change>
  void change(Change apply) {
    {
      const std::lock_guard lock(state_->mutex);
      apply(*state_);
    }
    state_->changed.notify_all();
  }

  std::shared_ptr<State> state_;
};

}  // namespace coppice::tui
