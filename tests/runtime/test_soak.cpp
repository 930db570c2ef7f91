// Several threads of random greenlets for a few seconds: values, exceptions, kills, drops, re-parenting,
// foreign drops.
#include <atomic>
#include <barrier>
#include <chrono>
#include <coppice/greenlet.hpp>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

using coppice::current;
using coppice::Greenlet;
using coppice::GreenletError;
using coppice::GreenletExit;
using coppice::spawn;

namespace {

std::atomic<std::int64_t> alive = 0;     ///< objects on greenlets' stacks
std::atomic<std::uint64_t> damaged = 0;  ///< stack bytes that were not as they should be
std::atomic<std::uint64_t> switches = 0;
std::atomic<std::uint64_t> caught = 0;

struct OnStack {
  OnStack() { ++alive; }
  ~OnStack() { --alive; }
  OnStack(const OnStack&) = delete;
  OnStack& operator=(const OnStack&) = delete;
};

/// Handles that other threads dispose of.
struct Exchange {
  std::mutex mutex;
  std::vector<Greenlet> handles;
};

class Web {
 public:
  Web(std::uint32_t seed, Exchange& exchange) : random_(seed), exchange_(exchange), all_(24) {}

  /// Leaves nothing behind: `all_done` lets every thread get there before handles of other threads' greenlets
  /// go, which these then end.
  void run_until(std::chrono::steady_clock::time_point end, std::barrier<>& all_done) {
    while (std::chrono::steady_clock::now() < end) {
      for (int i = 0; i < 100; ++i) guarded([this] { step(); });
    }
    // Everybody still there is killed here; some resist a few times.
    for (Greenlet& g : all_) {
      while (g.active()) guarded([&g] { g.kill(); });
    }
    all_.clear();
    for (int round = 0; round < 3; ++round) {
      all_done.arrive_and_wait();
      drop_exchanged();
      all_done.arrive_and_wait();
      spawn([] {}).switch_to();
    }
  }

 private:
  template <class Call>
  void guarded(Call call) {
    try {
      call();
    } catch (const std::runtime_error&) {
      ++caught;
    } catch (const GreenletError&) {
      ++caught;
    }
  }

  // No handle is kept on a greenlet's stack across a switch: two that hold each other would never end.
  void step() {
    Greenlet& slot = all_[random_() % all_.size()];
    switch (random_() % 16) {
      case 0:
        if (!slot.is_current()) slot = Greenlet();
        return;
      case 1:
        if (slot && !slot.is_current()) {
          ++switches;
          slot.throw_in(std::runtime_error("thrown"));
        }
        return;
      case 2:
        if (slot && !slot.is_current()) {
          slot.kill();
        }
        return;
      case 3: {
        const Greenlet& other = all_[random_() % all_.size()];
        if (slot && other) slot.set_parent(other);
        return;
      }
      case 4: {
        const std::scoped_lock lock(exchange_.mutex);
        if (slot && !slot.is_current()) exchange_.handles.push_back(std::move(slot));
        return;
      }
      case 5:
        drop_exchanged();
        return;
      default:
        break;
    }
    if (!slot || slot.finished()) slot = spawn([this] { live(); });
    if (slot.is_current()) return;
    ++switches;
    slot.switch_to(std::string("a value that is longer than any small string"));
  }

  void drop_exchanged() {
    std::vector<Greenlet> taken;
    const std::scoped_lock lock(exchange_.mutex);
    taken.swap(exchange_.handles);
  }  // `taken` goes after the lock: dropped here, wherever they belong

  void live() {
    const OnStack object;
    const unsigned steps = random_() % 40;
    for (unsigned i = 0; i < steps; ++i) {
      const std::size_t size = 16 + random_() % 2000;
      auto* bytes = static_cast<unsigned char*>(__builtin_alloca(size));
      const auto pattern = static_cast<unsigned char>(random_());
      std::memset(bytes, pattern, size);
      try {
        step();
      } catch (const std::runtime_error&) {
        if (random_() % 2 == 0) throw;
        step();  // switches inside a handler
      } catch (const GreenletError&) {
        ++caught;
      }
      for (std::size_t n = 0; n < size; ++n) {
        if (bytes[n] != pattern) {
          ++damaged;
          break;
        }
      }
    }
    if (random_() % 4 == 0) throw std::runtime_error("left");
  }

  std::mt19937 random_;
  Exchange& exchange_;
  std::vector<Greenlet> all_;
};

}  // namespace

TEST_CASE("soak") {
  const char* const wanted = std::getenv("COPPICE_SEED");
  const auto seed = wanted != nullptr ? static_cast<std::uint32_t>(std::strtoul(wanted, nullptr, 10))
                                      : std::random_device{}();
  WARN("seed " << seed << " (COPPICE_SEED repeats it)");
  Exchange exchange;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  constexpr int count = 3;
  std::barrier<> all_done(count);
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < count; ++t) {
    threads.emplace_back([&, t] { Web(seed + t, exchange).run_until(end, all_done); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(exchange.handles.empty());
  WARN(switches << " switches, " << caught << " exceptions");
  CHECK(damaged == 0);
  CHECK(alive == 0);
  CHECK(switches > 1000);
  CHECK(caught > 0);
}
