// The semantics of greenlet's documentation: values, parents, the order of things. One test a sentence.
#include <coppice/greenlet.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

using coppice::current;
using coppice::Greenlet;
using coppice::GreenletError;
using coppice::main_greenlet;
using coppice::spawn;

namespace {
int integer(const std::any& value) {
  return std::any_cast<int>(value);
}
}  // namespace

TEST_CASE("the current greenlet of a thread that has not switched is its main greenlet") {
  CHECK(current() == main_greenlet());
  CHECK(current().is_main());
  CHECK(current().is_current());
  CHECK(current().started());
  CHECK(current().active());
  CHECK_FALSE(current().parent());
}

TEST_CASE("a new greenlet is unstarted and its parent is the one that made it") {
  const Greenlet g = spawn([] {});
  CHECK_FALSE(g.started());
  CHECK_FALSE(g.active());
  CHECK_FALSE(g.finished());
  CHECK(g.parent() == current());
  CHECK(g.id() > current().id());
  Greenlet inner;
  Greenlet outer = spawn([&] { inner = spawn([] {}); });
  outer.switch_to();
  CHECK(inner.parent() == outer);
}

TEST_CASE("a greenlet's function may take and return anything or nothing") {
  CHECK_FALSE(spawn([] {}).switch_to().has_value());
  CHECK(integer(spawn([] { return 7; }).switch_to()) == 7);
  CHECK(integer(spawn([](std::any value) { return integer(value) + 1; }).switch_to(1)) == 2);
  int seen = 0;
  CHECK_FALSE(spawn([&](std::any value) { seen = integer(value); }).switch_to(3).has_value());
  CHECK(seen == 3);
}

TEST_CASE("switching to the current greenlet returns the value at once") {
  CHECK(integer(current().switch_to(5)) == 5);
  const Greenlet g = spawn([] { return integer(current().switch_to(6)); });
  CHECK(integer(g.switch_to()) == 6);
}

TEST_CASE("a finished greenlet's value goes to its parent, not to whoever switched to it last") {
  std::vector<int> order;
  const Greenlet main = current();
  Greenlet parent = spawn([&](std::any) {
    const std::any got = main.switch_to();  // waits for the child to finish
    order.push_back(integer(got));
    return 2;
  });
  parent.switch_to();
  Greenlet child = spawn([] { return 1; });
  child.set_parent(parent);
  CHECK(integer(child.switch_to()) == 2);
  CHECK(order == std::vector{1});
}

TEST_CASE("switching to a finished greenlet hands the value to its nearest living parent") {
  const Greenlet g = spawn([] {});
  g.switch_to();
  REQUIRE(g.finished());
  CHECK(integer(g.switch_to(9)) == 9);  // its parent is the current one

  const Greenlet main = current();
  Greenlet living = spawn([&] { return integer(main.switch_to()) + 100; });
  living.switch_to();
  Greenlet dead = spawn([] {});
  Greenlet deader = spawn([] {});
  deader.switch_to();
  dead.switch_to();
  dead.set_parent(living);
  deader.set_parent(dead);
  CHECK(integer(deader.switch_to(1)) == 101);
  CHECK(living.finished());
}

TEST_CASE("a value handed on starts a parent that was never started") {
  Greenlet parent = spawn([](std::any value) { return integer(value) * 2; });
  Greenlet child = spawn([] { return 21; });
  child.set_parent(parent);
  CHECK(integer(child.switch_to()) == 42);
  CHECK(parent.finished());
}

TEST_CASE("re-parenting: no cycles, no parent for main, no empty handles") {
  Greenlet a = spawn([] {});
  Greenlet b = spawn([] {});
  Greenlet c = spawn([] {});
  b.set_parent(a);
  c.set_parent(b);
  CHECK(c.parent() == b);
  CHECK_THROWS_AS(a.set_parent(c), GreenletError);
  CHECK_THROWS_AS(a.set_parent(a), GreenletError);
  CHECK(a.parent() == current());
  CHECK_THROWS_AS(current().set_parent(a), GreenletError);
  CHECK_THROWS_AS(a.set_parent(Greenlet()), GreenletError);
  CHECK_THROWS_AS(Greenlet().set_parent(a), GreenletError);
  c.set_parent(current());
  CHECK(c.parent() == current());
}

TEST_CASE("a chain of parents runs from the inside out") {
  std::string order;
  Greenlet outer = spawn([&](std::any value) {
    order += 'o';
    return integer(value) + 1;
  });
  Greenlet middle = spawn([&](std::any value) {
    order += 'm';
    return integer(value) + 1;
  });
  Greenlet inner = spawn([&] {
    order += 'i';
    return 0;
  });
  middle.set_parent(outer);
  inner.set_parent(middle);
  CHECK(integer(inner.switch_to()) == 2);
  CHECK(order == "imo");
}

TEST_CASE("generators: two greenlets that switch to each other in the middle of deep calls") {
  const Greenlet main = current();
  std::function<void(int)> count_down = [&](int n) {
    if (n == 0) return;
    main.switch_to(n);
    count_down(n - 1);
    main.switch_to(n);
  };
  Greenlet g = spawn([&] { count_down(4); });
  std::vector<int> seen;
  for (std::any value = g.switch_to(); !g.finished(); value = g.switch_to()) seen.push_back(integer(value));
  CHECK(seen == std::vector{4, 3, 2, 1, 1, 2, 3, 4});
}

TEST_CASE("names") {
  Greenlet g = spawn([] {}, "worker");
  CHECK(g.name() == "worker");
  g.set_name("other");
  CHECK(g.name() == "other");
  g.set_name("");
  CHECK(g.name().empty());
  CHECK_THROWS_AS(Greenlet().set_name("x"), GreenletError);
}

TEST_CASE("ids are never used again") {
  std::uint64_t last = 0;
  for (int i = 0; i < 1000; ++i) {
    const Greenlet g = spawn([] {});
    CHECK(g.id() > last);
    last = g.id();
    g.switch_to();
  }
}

TEST_CASE("the switch hook runs in the greenlet switched to, after every switch") {
  struct Seen {
    std::uint64_t from, to, in;
  };
  std::vector<Seen> seen;
  Greenlet g = spawn([] { current().parent().switch_to(); });
  coppice::set_switch_hook(
      [&](const coppice::SwitchEvent& event) { seen.push_back({event.from, event.to, current().id()}); });
  g.switch_to();
  g.switch_to();
  coppice::set_switch_hook({});
  REQUIRE(seen.size() == 4);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const bool to_g = i % 2 == 0;
    CHECK(seen[i].to == (to_g ? g.id() : current().id()));
    CHECK(seen[i].from == (to_g ? current().id() : g.id()));
    CHECK(seen[i].in == seen[i].to);
  }
}

TEST_CASE("what the switch hook throws is thrown into the greenlet switched to; it cannot switch itself") {
  const Greenlet main = current();
  std::string caught;
  Greenlet g = spawn([&] {
    try {
      main.switch_to();
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
  });
  g.switch_to();
  bool refused = false;
  coppice::set_switch_hook([&](const coppice::SwitchEvent& event) {
    if (event.to != g.id()) return;
    try {
      main.switch_to();
    } catch (const GreenletError&) {
      refused = true;
    }
    throw std::runtime_error("from the hook");
  });
  g.switch_to();
  coppice::set_switch_hook({});
  CHECK(refused);
  CHECK(caught == "from the hook");
  CHECK(g.finished());
}
