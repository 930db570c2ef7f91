// Exceptions: into a greenlet, out of it, and in the middle of handling one.
#include <coppice/greenlet.hpp>
#include <stdexcept>
#include <string>

#include "tests/support/catch.hpp"

using coppice::current;
using coppice::Greenlet;
using coppice::GreenletExit;
using coppice::spawn;

namespace {

struct Flag {
  explicit Flag(bool& flag) : flag_(flag) {}
  ~Flag() { flag_ = true; }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;
  bool& flag_;
};

bool is_exit(const std::any& value) {
  return std::any_cast<GreenletExit>(&value) != nullptr;
}

}  // namespace

TEST_CASE("an exception that leaves a greenlet surfaces in its parent") {
  bool unwound = false;
  Greenlet g = spawn([&] {
    const Flag flag(unwound);
    throw std::runtime_error("boom");
  });
  CHECK_THROWS_WITH(g.switch_to(), "boom");
  CHECK(unwound);
  CHECK(g.finished());
}

TEST_CASE("it skips finished parents and ends unstarted ones") {
  bool ran = false;
  Greenlet unstarted = spawn([&] { ran = true; });
  Greenlet finished = spawn([] {});
  finished.switch_to();
  finished.set_parent(unstarted);
  Greenlet g = spawn([] { throw std::runtime_error("boom"); });
  g.set_parent(finished);
  CHECK_THROWS_WITH(g.switch_to(), "boom");
  CHECK_FALSE(ran);
  CHECK(unstarted.finished());
}

TEST_CASE("throwing into a suspended greenlet raises there") {
  std::string caught;
  Greenlet g = spawn([&] {
    try {
      current().parent().switch_to();
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    return 5;
  });
  g.switch_to();
  CHECK(std::any_cast<int>(g.throw_in(std::runtime_error("in"))) == 5);
  CHECK(caught == "in");
}

TEST_CASE("an exception thrown in and not caught comes back out") {
  Greenlet g = spawn([] { current().parent().switch_to(); });
  g.switch_to();
  CHECK_THROWS_WITH(g.throw_in(std::runtime_error("through")), "through");
  CHECK(g.finished());
}

TEST_CASE("throwing into an unstarted greenlet finishes it without running it") {
  bool ran = false;
  Greenlet g = spawn([&] { ran = true; });
  CHECK_THROWS_WITH(g.throw_in(std::runtime_error("early")), "early");
  CHECK(g.finished());
  CHECK_FALSE(ran);
  Greenlet killed = spawn([&] { ran = true; });
  CHECK(is_exit(killed.kill()));
  CHECK(killed.finished());
  CHECK_FALSE(ran);
}

TEST_CASE(
    "throwing into a finished greenlet surfaces in its nearest living parent; GreenletExit returns there") {
  Greenlet g = spawn([] {});
  g.switch_to();
  CHECK_THROWS_WITH(g.throw_in(std::runtime_error("late")), "late");
  CHECK(is_exit(g.kill()));
}

TEST_CASE("throwing into the current greenlet throws at once") {
  CHECK_THROWS_WITH(current().throw_in(std::runtime_error("here")), "here");
}

TEST_CASE("GreenletExit ends a greenlet quietly, past handlers of std::exception") {
  bool unwound = false;
  bool handled = false;
  Greenlet g = spawn([&] {
    const Flag flag(unwound);
    try {
      current().parent().switch_to();
    } catch (const std::exception&) {
      handled = true;
    }
  });
  g.switch_to();
  CHECK(is_exit(g.kill()));
  CHECK(unwound);
  CHECK_FALSE(handled);
  CHECK(g.finished());
}

TEST_CASE("a greenlet may catch GreenletExit and go on") {
  Greenlet g = spawn([] {
    try {
      current().parent().switch_to();
    } catch (const GreenletExit&) {
      current().parent().switch_to(1);
    }
    return 2;
  });
  g.switch_to();
  CHECK(std::any_cast<int>(g.kill()) == 1);
  CHECK(g.active());
  CHECK(std::any_cast<int>(g.switch_to()) == 2);
}

TEST_CASE("switching inside catch blocks keeps every greenlet's own exceptions") {
  const Greenlet main = current();
  std::string seen;
  Greenlet a = spawn([&] {
    try {
      throw std::runtime_error("a");
    } catch (const std::exception& error) {
      main.switch_to();
      seen += error.what();
      try {
        throw;
      } catch (const std::runtime_error& again) {
        seen += again.what();
      }
      main.switch_to();
    }
    seen += std::current_exception() ? '!' : '.';
  });
  Greenlet b = spawn([&] {
    CHECK_FALSE(std::current_exception());
    try {
      throw 7;
    } catch (int) {
      main.switch_to();
      try {
        throw;
      } catch (int n) {
        seen += static_cast<char>('0' + n);
      }
    }
  });
  try {
    throw std::logic_error("main");
  } catch (const std::logic_error&) {
    a.switch_to();
    b.switch_to();
    a.switch_to();
    b.switch_to();
    a.switch_to();
    CHECK_THROWS_WITH(throw, "main");
  }
  CHECK(seen == "aa7.");
  CHECK_FALSE(std::current_exception());
}

TEST_CASE("switching in a destructor during unwinding keeps std::uncaught_exceptions right") {
  const Greenlet main = current();
  int inside = -1;
  int outside = -1;
  struct Switches {
    const Greenlet& main;
    int& count;
    ~Switches() {
      main.switch_to();
      count = std::uncaught_exceptions();
    }
  };
  Greenlet g = spawn([&] {
    try {
      const Switches object{main, inside};
      throw std::runtime_error("x");
    } catch (const std::runtime_error&) {
    }
  });
  g.switch_to();
  outside = std::uncaught_exceptions();
  g.switch_to();
  CHECK(inside == 1);
  CHECK(outside == 0);
  CHECK(g.finished());
}

TEST_CASE("rounding mode and exception masks are each greenlet's own") {
  const Greenlet main = current();
  auto mxcsr = [] { return __builtin_ia32_stmxcsr(); };
  const unsigned before = mxcsr();
  Greenlet g = spawn([&] {
    __builtin_ia32_ldmxcsr(before | 0x6000);  // towards zero
    main.switch_to();
    CHECK((mxcsr() & 0x6000) == 0x6000);
  });
  g.switch_to();
  CHECK((mxcsr() & 0x6000) == (before & 0x6000));
  g.switch_to();
  CHECK((mxcsr() & 0x6000) == (before & 0x6000));
}
