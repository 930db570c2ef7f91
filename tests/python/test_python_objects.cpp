// Strings, integers and local variables, of every version, on bytes that were never in a process.
#include <fmt/format.h>

#include <algorithm>

#include "inspect/python/python_locals.hpp"
#include "inspect/python/python_objects.hpp"
#include "inspect/snapshot/locals.hpp"
#include "tests/python/fake_python.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

TEST_CASE("strings of every kind") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    INFO("3." << minor);
    FakePython fake(minor);
    const PythonLayout& layout = fake.python.layout;
    constexpr Address at = 0x900000;
    const auto text_of = [&](std::u32string_view text, unsigned width) {
      fake.put_string(at, text, width);
      const auto read = read_python_string(fake.memory, layout, at, 1000);
      REQUIRE(read.ok());
      CHECK(!read->cut);
      return read->utf8;
    };
    CHECK(text_of(U"", 1).empty());
    CHECK(text_of(U"plain", 1) == "plain");
    CHECK(text_of(U"caf\u00e9", 1) == "caf\xc3\xa9");
    CHECK(text_of(U"\u20ac\u03bb", 2) == "\xe2\x82\xac\xce\xbb");
    CHECK(text_of(U"\U0001f40d!", 4) == "\xf0\x9f\x90\x8d!");
    CHECK(text_of(std::u32string(1, char32_t{0xdc80}), 2) == "\xed\xb2\x80");  // a lone surrogate
    CHECK(text_of(std::u32string(1, char32_t{0x110000}), 4) == "\xef\xbf\xbd");
    CHECK(text_of(std::u32string(900, U'x'), 1) == std::string(900, 'x'));  // more than the first read takes

    // Not compact: the characters are elsewhere.
    fake.memory.put_value(at + PythonLayout::string_state, 1U << 2U | 1U << 6U);
    fake.memory.put_value(at + PythonLayout::string_length, std::uint64_t{3});
    fake.memory.put_value(at + layout.legacy_data, Address{0x990000});
    const std::string elsewhere = "abc";
    fake.memory.put(0x990000, std::as_bytes(std::span(elsewhere)));
    const auto legacy = read_python_string(fake.memory, layout, at, 1000);
    REQUIRE(legacy.ok());
    CHECK(legacy->utf8 == "abc");

    fake.memory.put_value(at + PythonLayout::string_length, ~std::uint64_t{0});
    CHECK(!read_python_string(fake.memory, layout, at, 1000).ok());
    fake.memory.put_value(at + PythonLayout::string_length, std::uint64_t{3});
    fake.memory.put_value(at + PythonLayout::string_state, 7U << 2U);
    CHECK(!read_python_string(fake.memory, layout, at, 1000).ok());
    CHECK(!read_python_string(fake.memory, layout, 0xdead000, 1000).ok());
  }
}

TEST_CASE("local variables of every kind, in every version") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    INFO("3." << minor);
    const FakePython fake(minor);
    const PythonStack stack = PythonReader(fake.python).read(fake.memory, fake.request());
    REQUIRE(stack.frames.size() == 3);
    const auto lines = [&](const Memory& memory, std::size_t most) {
      const PythonLocals locals = read_python_locals(memory, fake.python, stack.frames[0], most);
      std::vector<std::string> all;
      for (const PythonLocal& local : locals.locals) all.push_back(local.name + " = " + local.value);
      if (locals.left_out != 0) all.push_back(fmt::format("and {}", locals.left_out));
      if (locals.error) all.push_back("error");
      return all;
    };
    const std::vector<std::string> right = {"text = 'snake'",
                                            "data = b'\\x00a'",
                                            "number = 3",
                                            "truth = True",
                                            "real = 0.5",
                                            "nothing = None",
                                            "pair = (3,)",
                                            "many = [3, 'snake', [3, 'snake', […]]]",
                                            "table = {'snake': 3}",
                                            "other = <Other at 0x500900>",
                                            "cell = 3"};
    CHECK(lines(fake.memory, 64) == right);
    CHECK(lines(fake.memory, 2) == std::vector<std::string>{right[0], right[1], "and 9"});
    const FailNth never(fake.memory);
    CHECK(lines(never, 64) == right);
    const std::uint64_t reads = never.reads();
    for (std::uint64_t nth = 0; nth < reads; ++nth) {
      const FailNth failing(fake.memory, nth);
      const std::vector<std::string> some = lines(failing, 64);
      const bool failed = some == std::vector<std::string>{"error"};
      REQUIRE((failed || some.size() >= right.size() - 1));
      for (const std::string& line : some) {
        const bool known = std::ranges::find(right, line) != right.end();
        const bool said = line.find("unreadable") != std::string::npos || line.starts_with("? = ") ||
                          line.starts_with("data = b'") || line == "cell = <cell at 0x500a00>";
        REQUIRE((failed || known || said));
      }
    }
    CHECK(reads > 50);
  }
}

TEST_CASE("a frame that runs something else by now has no variables to show") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    INFO("3." << minor);
    FakePython fake(minor);
    const PythonStack stack = PythonReader(fake.python).read(fake.memory, fake.request());
    REQUIRE(stack.frames.size() == 3);
    const PythonLayout& layout = fake.python.layout;
    const bool object = layout.frame_kind == FrameKind::frame_object;
    fake.memory.put_value(stack.frames[0].address + (object ? layout.frame_object.code : layout.frame.code),
                          fake.code(1));
    const PythonLocals locals = read_python_locals(fake.memory, fake.python, stack.frames[0]);
    CHECK(locals.locals.empty());
    REQUIRE(locals.error);
    CHECK(locals.error->code == ErrorCode::torn);
  }
}

TEST_CASE("the variables of all stacks together are bounded") {
  const FakePython fake(11);
  PythonStacks::Found found;
  found.python = &fake.python;
  found.stack = PythonReader(fake.python).read(fake.memory, fake.request());
  std::vector<PythonStacks::Found> stacks(2, found);
  stacks.emplace_back();  // of no interpreter that is known
  read_locals(fake.memory, stacks);
  for (const std::size_t i : {0U, 1U}) {
    for (const PythonFrame& frame : stacks[i].stack.frames) REQUIRE(frame.locals);
    CHECK(stacks[i].stack.frames[0].locals->locals.size() == 11);
  }
  read_locals(fake.memory, stacks, 50);
  CHECK(stacks[0].stack.frames[0].locals->locals.size() == 11);
  for (const PythonFrame& frame : stacks[1].stack.frames) {
    REQUIRE(frame.locals->error);
    CHECK(frame.locals->error->code == ErrorCode::too_deep);
  }
}

TEST_CASE("integers of every size") {
  const auto check = [](unsigned minor, std::vector<std::uint32_t> digits, bool negative) {
    FakePython fake(minor);
    constexpr Address at = 0x900000;
    const auto count = static_cast<std::int64_t>(digits.size());
    const std::int64_t tag = digits.empty() ? 1 : count << 3 | (negative ? 2 : 0);
    fake.memory.put_value(at + PythonLayout::variable_size, minor >= 12 ? tag : negative ? -count : count);
    fake.memory.put(at + 0x18, std::as_bytes(std::span(digits)));
    const auto integer = read_python_integer(fake.memory, fake.python.layout, at);
    REQUIRE(integer.ok());
    return *integer;
  };
  for (const unsigned minor : {8U, 11U, 12U, 14U}) {
    CHECK(check(minor, {}, false).value == 0);
    CHECK(check(minor, {7}, false).value == 7);
    CHECK(check(minor, {7}, true).value == -7);
    CHECK(check(minor, {0x3fffffff, 0x3fffffff, 7}, false).value == INT64_MAX);
    CHECK(check(minor, {0x3fffffff, 0x3fffffff, 7}, true).value == -INT64_MAX);
    CHECK(!check(minor, {0, 0, 8}, false).value);
    const PythonInteger large = check(minor, {1, 2, 3, 4, 5}, true);
    CHECK(!large.value);
    CHECK(large.negative);
    CHECK(large.bits == 150);
  }
}
