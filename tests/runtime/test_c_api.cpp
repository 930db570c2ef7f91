// The C interface, from C and mixed with C++.
#include <coppice/coppice.h>

#include <coppice/greenlet.hpp>
#include <stdexcept>

#include "c_program.h"
#include "tests/support/catch.hpp"

using coppice::Greenlet;
using coppice::main_greenlet;
using coppice::spawn;

TEST_CASE("a C program switches, throws, kills and misuses") {
  CHECK(c_values() == 0);
  CHECK(c_throwing() == 0);
  CHECK(c_misuse() == 0);
  CHECK(c_wrong_status() == 0);
}

TEST_CASE("values cross between C and C++") {
  int number = 4;
  const Greenlet cpp = spawn([&](std::any value) -> std::any {
    CHECK(std::any_cast<void*>(value) == &number);
    main_greenlet().switch_to();  // nothing
    return std::string("no pointer");
  });
  void* got = &number;
  CHECK(coppice_switch(cpp.get(), &number, &got) == COPPICE_OK);
  CHECK(got == nullptr);
  CHECK(coppice_switch(cpp.get(), nullptr, &got) == COPPICE_BAD_VALUE);
  CHECK(coppice_finished(cpp.get()) == 1);
}

TEST_CASE("a C++ exception passes through a C greenlet unchanged") {
  const Greenlet thrower = spawn([] { throw std::out_of_range("deep"); });
  coppice_greenlet* middle = nullptr;
  REQUIRE(coppice_new(c_pass_on, thrower.get(), &middle) == COPPICE_OK);
  thrower.set_parent(Greenlet::share(middle));
  void* got = nullptr;
  SECTION("to C") {
    CHECK(coppice_switch(middle, nullptr, &got) == COPPICE_EXCEPTION);
    CHECK(std::string(coppice_error_message()) == "deep");
  }
  SECTION("to C++") {
    CHECK_THROWS_AS(Greenlet::share(middle).switch_to(), std::out_of_range);
  }
  CHECK(coppice_finished(middle) == 1);
  coppice_unref(middle);
}

TEST_CASE("a pointer thrown in C is a coppice_thrown in C++") {
  int number = 0;
  const Greenlet g = spawn([&] {
    try {
      main_greenlet().switch_to();
    } catch (const coppice_thrown& thrown) {
      CHECK(thrown.value == &number);
      throw;
    }
  });
  void* got = nullptr;
  CHECK(coppice_switch(g.get(), nullptr, &got) == COPPICE_OK);
  CHECK(coppice_throw(g.get(), &number, &got) == COPPICE_THROWN);
  CHECK(got == &number);
}
