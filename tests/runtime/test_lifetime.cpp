// Ends: dropped handles, exiting threads, what is left over.
#include <pthread.h>

#include <coppice/greenlet.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

using coppice::current;
using coppice::Greenlet;
using coppice::GreenletError;
using coppice::GreenletExit;
using coppice::main_greenlet;
using coppice::spawn;

namespace {

struct Count {
  explicit Count(int& count) : count_(count) {}
  ~Count() { ++count_; }
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;
  int& count_;
};

/// A greenlet suspended with an object on its stack that counts its destruction.
Greenlet suspended(int& unwound) {
  Greenlet g = spawn([&unwound] {
    const Count count(unwound);
    main_greenlet().switch_to();
  });
  g.switch_to();
  return g;
}

}  // namespace

TEST_CASE("dropping the last handle unwinds a suspended greenlet") {
  int unwound = 0;
  {
    Greenlet g = suspended(unwound);
    const Greenlet other = g;
    g = Greenlet();
    CHECK(unwound == 0);
  }
  CHECK(unwound == 1);
}

TEST_CASE("dropping an unstarted or finished greenlet frees what its function owns") {
  const auto shared = std::make_shared<int>(1);
  {
    const Greenlet g = spawn([shared] {});
  }
  CHECK(shared.use_count() == 1);
  const Greenlet g = spawn([shared] {});
  g.switch_to();
  CHECK(shared.use_count() == 1);  // gone as soon as it finished, not with the handle
}

TEST_CASE("a dropped greenlet dies into whoever dropped it, whatever its parent") {
  int unwound = 0;
  Greenlet elsewhere = spawn([] { FAIL("control came to the parent"); });
  {
    Greenlet g = suspended(unwound);
    g.set_parent(elsewhere);
  }
  CHECK(unwound == 1);
  CHECK_FALSE(elsewhere.started());
}

TEST_CASE("what a dropped greenlet throws while it dies is discarded") {
  Greenlet g = spawn([] {
    try {
      main_greenlet().switch_to();
    } catch (const GreenletExit&) {
      throw std::runtime_error("nobody hears this");
    }
  });
  g.switch_to();
  g = Greenlet();
  SUCCEED();
}

TEST_CASE("a dropped greenlet may refuse to die, and can be found again from inside") {
  Greenlet again;
  bool finished = false;
  {
    Greenlet g = spawn([&] {
      try {
        main_greenlet().switch_to();
      } catch (const GreenletExit&) {
        again = current();
        main_greenlet().switch_to();
      }
      finished = true;
    });
    g.switch_to();
  }
  REQUIRE(again);
  CHECK(again.active());
  again.switch_to();
  CHECK(finished);
}

TEST_CASE("a greenlet without handles dies when it is switched away from") {
  int unwound = 0;
  spawn([&] {
    const Count count(unwound);
    main_greenlet().switch_to();
    FAIL("nobody can switch back");
  }).switch_to();
  CHECK(unwound == 1);
}

TEST_CASE("a child keeps its parent alive") {
  int unwound = 0;
  Greenlet child;
  {
    Greenlet parent = spawn([&] {
      const Count count(unwound);
      child = spawn([] {});
      main_greenlet().switch_to();
    });
    parent.switch_to();
  }
  CHECK(unwound == 0);
  CHECK(child.parent().active());
  child = Greenlet();
  CHECK(unwound == 1);
}

TEST_CASE("a long chain of finished parents is freed without recursion") {
  // Recursion would not fit this thread's stack.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, std::size_t{128} * 1024);
  int generations = 0;
  const auto body = [](void* result) -> void* {
    Greenlet last;
    std::function<void()> spawn_child = [&] { last = spawn(spawn_child); };
    spawn_child();
    for (int i = 0; i < 10'000; ++i) Greenlet(last).switch_to();  // its child becomes `last`
    for (Greenlet each = last; each; each = each.parent()) ++*static_cast<int*>(result);
    last = Greenlet();
    return nullptr;
  };
  pthread_t thread{};
  REQUIRE(pthread_create(&thread, &attributes, body, &generations) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  CHECK(generations == 10'002);
}

TEST_CASE("a handle dropped in another thread defers the end to its own thread's next switch") {
  int unwound = 0;
  Greenlet g = suspended(unwound);
  std::thread([moved = std::move(g)]() mutable { moved = Greenlet(); }).join();
  CHECK(unwound == 0);
  spawn([] {}).switch_to();
  CHECK(unwound == 1);
}

TEST_CASE("a handle dropped in another thread is honoured at the latest when its own thread exits") {
  int unwound = 0;
  std::thread([&] {
    Greenlet g = suspended(unwound);
    std::thread([moved = std::move(g)]() mutable { moved = Greenlet(); }).join();
    CHECK(unwound == 0);
  }).join();
  CHECK(unwound == 1);
}

TEST_CASE("greenlets that outlive their thread never continue and are freed without running") {
  int unwound = 0;
  Greenlet left;
  Greenlet never;
  Greenlet main;
  std::thread([&] {
    left = suspended(unwound);
    never = spawn([] {});
    main = main_greenlet();
  }).join();
  CHECK(left.active());
  CHECK_FALSE(left.finished());
  CHECK(main.finished());
  CHECK_FALSE(never.started());
  CHECK_THROWS_AS(left.switch_to(), GreenletError);
  CHECK_THROWS_AS(left.kill(), GreenletError);
  CHECK_THROWS_AS(never.switch_to(), GreenletError);
  CHECK_THROWS_AS(main.switch_to(), GreenletError);
  CHECK(left.parent() == main);
  left = never = main = Greenlet();
  CHECK(unwound == 0);
}

TEST_CASE("a thread_local handle dies in its own thread, before the thread is gone") {
  int unwound = 0;
  std::thread([&] {
    thread_local Greenlet kept;
    kept = suspended(unwound);
  }).join();
  CHECK(unwound == 1);
}

#if !defined(COPPICE_SANITIZE_THREAD)  // it insists that pthread_exit is called in the thread's first fiber
TEST_CASE("pthread_exit inside a greenlet unwinds that greenlet and ends the thread") {
  // By pthread_create: a std::thread would leak what its own frames, which are not unwound, hold.
  static int unwound;
  static Greenlet other;
  static Greenlet exiting;
  unwound = 0;
  pthread_t thread{};
  const auto body = [](void*) -> void* {
    other = suspended(unwound);
    exiting = spawn([] {
      const Count count(unwound);
      pthread_exit(nullptr);
    });
    exiting.switch_to();
    FAIL("the thread has ended");
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, nullptr, body, nullptr) == 0);
  pthread_join(thread, nullptr);
  CHECK(unwound == 1);
  CHECK(exiting.finished());
  CHECK(other.active());
  CHECK_THROWS_AS(other.switch_to(), GreenletError);
  other = exiting = Greenlet();
}
#endif

TEST_CASE("two threads switch their own greenlets, and only those") {
  Greenlet mine = spawn([] {});
  std::thread([&] {
    CHECK_THROWS_AS(mine.switch_to(), GreenletError);
    CHECK_THROWS_AS(mine.kill(), GreenletError);
    Greenlet own = spawn([] {});
    CHECK_THROWS_AS(own.set_parent(mine), GreenletError);
    CHECK(main_greenlet() != mine.parent());
    own.switch_to();
  }).join();
  mine.switch_to();
  CHECK(mine.finished());
}

TEST_CASE("handles are copied and dropped in many threads at once") {
  int unwound = 0;
  constexpr int count = 200;
  std::vector<Greenlet> all;
  for (int i = 0; i < count; ++i) all.push_back(suspended(unwound));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([copy = all]() mutable {
      for (int round = 0; round < 20; ++round) {
        const std::vector<Greenlet> again = copy;
      }
      copy.clear();
    });
  }
  all.clear();
  for (int i = 0; i < 1000; ++i) spawn([] {}).switch_to();
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  spawn([] {}).switch_to();
  CHECK(unwound == count);
}
