// Bad use has a defined outcome, and leaves everything as it was.
#include <coppice/greenlet.hpp>
#include <csignal>
#include <cstdlib>
#include <new>
#include <vector>

#include "runtime/src/slice_buffer.hpp"
#include "tests/support/catch.hpp"

using coppice::current;
using coppice::Greenlet;
using coppice::GreenletError;
using coppice::main_greenlet;
using coppice::spawn;

namespace {

/// While it lives, the allocation of a slice fails after `allowed` successes.
class FailingMemory {
 public:
  explicit FailingMemory(int allowed) {
    left = allowed;
    coppice::internal::allocate_slice = [](std::size_t bytes) -> void* {
      return left-- > 0 ? std::malloc(bytes) : nullptr;
    };
  }
  ~FailingMemory() { coppice::internal::allocate_slice = std::malloc; }
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;

 private:
  static inline int left = 0;
};

}  // namespace

TEST_CASE("an empty handle") {
  const Greenlet none;
  CHECK_FALSE(none);
  CHECK_THROWS_AS(none.switch_to(), GreenletError);
  CHECK_THROWS_AS(none.kill(), GreenletError);
  CHECK_THROWS_AS(none.parent(), GreenletError);
  CHECK_THROWS_AS(none.name(), GreenletError);
  CHECK_FALSE(none.started());
  CHECK_FALSE(none.finished());
  CHECK_FALSE(none.is_current());
  CHECK(none.id() == 0);
}

TEST_CASE("an empty function or exception") {
  CHECK_THROWS_AS(coppice::detail::spawn({}, {}), GreenletError);
  CHECK_THROWS_AS(spawn([] {}).throw_in(std::exception_ptr()), GreenletError);
}

TEST_CASE("out of memory for a slice: the switch throws and nothing has changed") {
  const Greenlet main = current();
  // a starts b starts c: a switch from c to main must save three slices, any of which may find no memory.
  int failures = 0;
  bool completed = false;
  for (int allowed = 0; !completed; ++allowed) {
    REQUIRE(allowed < 10);
    Greenlet b;
    Greenlet c;
    int resumed = 0;
    Greenlet a = spawn([&] {
      b = spawn([&] {
        c = spawn([&] {
          try {
            const FailingMemory memory(allowed);
            main.switch_to(1);
          } catch (const std::bad_alloc&) {
            ++failures;
            CHECK(c.is_current());
            main.switch_to(2);  // now there is memory
          }
          ++resumed;
        });
        c.switch_to();
        ++resumed;
      });
      b.switch_to();
      ++resumed;
    });
    const std::any how = a.switch_to();
    completed = std::any_cast<int>(how) == 1;
    c.switch_to();
    CHECK(resumed == 3);
    CHECK(a.finished());
  }
  CHECK(failures == 3);
}

TEST_CASE("out of memory while a dropped greenlet should die: it dies at a later switch") {
  const Greenlet main = current();
  bool dead = false;
  Greenlet victim = spawn([&] {
    struct Note {
      bool& flag;
      ~Note() { flag = true; }
    } const note{dead};
    main.switch_to();
  });
  victim.switch_to();
  Greenlet dropper = spawn([&] {
    {
      const FailingMemory memory(0);
      victim = Greenlet();
    }
    CHECK_FALSE(dead);
    main.switch_to();
  });
  dropper.switch_to();
  CHECK(dead);
}

#if !defined( \
    COPPICE_SANITIZE_THREAD)  // it runs handlers in a frame of its own and allows no allocation there
TEST_CASE("a switch from a foreign stack is refused") {
  static Greenlet target;
  static bool refused;
  refused = false;
  target = spawn([] {});
  std::vector<char> stack(256 * 1024);
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  stack_t former{};
  REQUIRE(sigaltstack(&alternate, &former) == 0);
  struct sigaction action{};
  action.sa_handler = [](int) {
    try {
      target.switch_to();
    } catch (const GreenletError&) {
      refused = true;
    }
  };
  action.sa_flags = SA_ONSTACK;
  struct sigaction former_action{};
  sigaction(SIGUSR1, &action, &former_action);
  raise(SIGUSR1);
  sigaction(SIGUSR1, &former_action, nullptr);
  sigaltstack(&former, nullptr);
  CHECK(refused);
  CHECK_FALSE(target.started());
  target = Greenlet();
}

TEST_CASE("a signal handler on the thread's own stack may switch away and back") {
  static Greenlet other;
  static int seen;
  seen = 0;
  const Greenlet main = current();
  other = spawn([&] {
    for (;;) {
      ++seen;
      main.switch_to();
    }
  });
  struct sigaction action{};
  action.sa_handler = [](int) { other.switch_to(); };
  action.sa_flags = SA_NODEFER;
  struct sigaction former{};
  sigaction(SIGUSR1, &action, &former);
  for (int i = 0; i < 5; ++i) raise(SIGUSR1);
  sigaction(SIGUSR1, &former, nullptr);
  CHECK(seen == 5);
  other = Greenlet();
}
#endif

namespace {

/// Goes down until `bytes` of stack are used, then calls.
[[gnu::noinline]] void at_depth(std::size_t bytes, const std::function<void()>& call) {
  char frame[1024];
  asm volatile("" : : "r"(frame) : "memory");  // all of it is needed, for all the compiler knows
  if (bytes <= sizeof frame) {
    call();
  } else {
    at_depth(bytes - sizeof frame, call);
  }
  asm volatile("" : : "r"(frame) : "memory");
}

}  // namespace

TEST_CASE("a greenlet is not started on a stack that is nearly exhausted") {
  // On a thread of its own with a small stack of known size.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  constexpr std::size_t size = 256 * 1024;
  pthread_attr_setstacksize(&attributes, size);
  struct Outcome {
    bool shallow = false, refused = false, later = false;
  } outcome;
  pthread_t thread{};
  const int created = pthread_create(
      &thread, &attributes,
      [](void* pointer) -> void* {
        auto& result = *static_cast<Outcome*>(pointer);
        spawn([&] { result.shallow = true; }).switch_to();
        const Greenlet g = spawn([&] { result.later = true; });
        std::size_t depth = 0;
        while (!result.refused && depth < size - 8 * 1024) {
          depth += 1024;
          at_depth(depth, [&] {
            char here = 0;
            if (reinterpret_cast<std::uintptr_t>(&here) == 0) return;
            const Greenlet probe = spawn([] {});
            try {
              probe.switch_to();
            } catch (const GreenletError&) {
              result.refused = true;
              CHECK_FALSE(probe.started());
            }
          });
        }
        g.switch_to();
        return nullptr;
      },
      &outcome);
  REQUIRE(created == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  CHECK(outcome.shallow);
  CHECK(outcome.refused);
  CHECK(outcome.later);
}
