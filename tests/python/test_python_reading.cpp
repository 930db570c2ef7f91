// The Python reader on bytes that were never in a process: every version, every failing read, and lies.
#include <fmt/format.h>

#include "inspect/python/python_frames.hpp"
#include "inspect/python/python_locals.hpp"
#include "inspect/python/python_objects.hpp"
#include "tests/python/fake_python.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

/// "Class.inner /srv/inner.py:11", with " entry" or the entry frame's address.
std::vector<std::string> lines_of(const PythonStack& stack) {
  std::vector<std::string> lines;
  for (const PythonFrame& frame : stack.frames) {
    std::string mark = frame.entry ? " entry" : "";
    if (frame.entry_frame != 0) mark += fmt::format(" {:x}", frame.entry_frame);
    lines.push_back(fmt::format("{} {}:{}{}", std::string_view(frame.function), std::string_view(frame.file),
                                frame.line, mark));
  }
  return lines;
}

std::vector<std::string> expected(unsigned minor, Address entry_frames) {
  const std::vector<std::string> marks =
      minor < 11   ? std::vector<std::string>{" entry", " entry", " entry"}
      : minor < 12 ? std::vector<std::string>{"", " entry", " entry"}
                   : std::vector<std::string>{"", fmt::format(" entry {:x}", entry_frames + 0x100),
                                              fmt::format(" entry {:x}", entry_frames + 0x300)};
  return {"Class.inner /srv/inner.py:11" + marks[0], "mïddle /srv/m.py:21" + marks[1],
          "οuter /srv/\xf0\x9f\x90\x8d.py:41" + marks[2]};
}

PythonStack read(const FakePython& fake, const PythonRequest& request) {
  PythonReader reader(fake.python);
  return reader.read(fake.memory, request);
}

}  // namespace

TEST_CASE("frames, names, lines and entry marks of every version") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    INFO("3." << minor);
    const FakePython fake(minor);
    const PythonStack stack = read(fake, fake.request());
    CHECK(!stack.error);
    CHECK(lines_of(stack) == expected(minor, FakePython::stack_start + 0x100));

    const PythonThreads threads = read_python_threads(fake.target, fake.python);
    REQUIRE(!threads.error);
    REQUIRE(threads.threads.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const PythonThread& thread = threads.threads[i];
      CHECK(thread.address == FakePython::threads[i]);
      CHECK(thread.interpreter_id == (i < 2 ? 0 : 1));
      CHECK(thread.tid == FakePython::first_tid + static_cast<pid_t>(i));
      const PythonStack of_thread = read(fake, PythonRequest::of_thread(thread));
      CHECK(!of_thread.error);
      CHECK(lines_of(of_thread) ==
            (i == 1 ? std::vector<std::string>{} : expected(minor, FakePython::thread_stack)));
    }
  }
}

TEST_CASE("a greenlet without Python frames has an empty stack, which is no error") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    const FakePython fake(minor);
    PythonRequest request = fake.request();
    request.position = {};
    const PythonStack stack = read(fake, request);
    CHECK(stack.frames.empty());
    CHECK(!stack.error);
  }
}

TEST_CASE("the top frame object leads to the frame where the position has no frame") {
  for (unsigned minor = 11; minor <= 15; ++minor) {
    const FakePython fake(minor);
    PythonRequest request = fake.request();
    request.position.current_frame = 0;
    CHECK(lines_of(read(fake, request)) == expected(minor, FakePython::stack_start + 0x100));
  }
}

TEST_CASE("whichever read fails, what is shown is right and what is missing is said") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    INFO("3." << minor);
    const FakePython fake(minor);
    const PythonStack whole = read(fake, fake.request());
    for (const bool after : {false, true}) {
      const FailNth never(fake.memory);
      CHECK(lines_of(PythonReader(fake.python).read(never, fake.request())) == lines_of(whole));
      const std::uint64_t reads = never.reads();
      std::uint64_t unharmed = 0;
      for (std::uint64_t nth = 0; nth < reads; ++nth) {
        const FailNth failing(fake.memory, nth, after);
        PythonReader reader(fake.python);
        const PythonStack stack = reader.read(failing, fake.request());
        REQUIRE(stack.frames.size() <= 4);
        unharmed += !stack.error && lines_of(stack) == lines_of(whole) ? 1U : 0U;
        if (!stack.error) REQUIRE(stack.frames.size() >= 3);
        for (const PythonFrame& frame : stack.frames) {
          const bool right = std::ranges::any_of(whole.frames, [&](const PythonFrame& known) {
            return known.address == frame.address &&
                   (frame.function.empty() || frame.function == known.function) &&
                   (frame.file.empty() || frame.file == known.file) &&
                   (frame.line == 0 || frame.line == known.line);
          });
          // A frame whose code cannot be read might have begun or not.
          REQUIRE((right || frame.function.empty()));
        }
        // Another reading, in which nothing fails, leaves nothing of the failure.
        CHECK(lines_of(reader.read(fake.memory, fake.request())) == lines_of(whole));
      }
      CHECK(reads > 10);
      CHECK(unharmed < reads);
    }
  }
}

TEST_CASE("circles and endless chains end") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    INFO("3." << minor);
    FakePython fake(minor);
    const PythonLayout& layout = fake.python.layout;
    const bool objects = layout.frame_kind == FrameKind::frame_object;
    const Address link =
        fake.frame(objects ? 2 : 3) + (objects ? layout.frame_object.back : layout.frame.previous);
    for (const std::size_t back_to : {std::size_t{0}, std::size_t{1}, std::size_t{objects ? 2U : 3U}}) {
      fake.memory.put_value(link, fake.frame(back_to));
      const PythonStack stack = read(fake, fake.request());
      REQUIRE(stack.error);
      CHECK(stack.error->code == ErrorCode::corrupt);
      CHECK(stack.frames.size() >= 3);
      CHECK(stack.frames.size() < 20);
    }
  }
}

TEST_CASE("limits on frames hold, for one stack and for all together") {
  FakePython fake(11);
  const auto& offsets = fake.python.layout.frame;
  constexpr Address many = 0x1000000;
  for (Address i = 0; i < 1000; ++i) {
    const Address at = many + i * 0x80;
    fake.memory.put(at, std::vector<std::byte>(offsets.size));
    fake.memory.put_value(at + offsets.code, fake.code(0));
    fake.memory.put_value(at + offsets.instruction, fake.code(0) + fake.python.layout.code.instructions + 20);
    fake.memory.put_value(at + offsets.previous, at + 0x80);
  }
  PythonRequest request = fake.request();
  request.position.current_frame = many;
  PythonLimits limits;
  limits.frames = 300;
  limits.all_frames = 700;
  PythonReader reader(fake.python, limits);
  const std::vector<PythonRequest> requests(4, request);
  const std::vector<PythonStack> stacks = reader.read_all(fake.memory, requests);
  std::size_t all = 0;
  for (const PythonStack& stack : stacks) {
    REQUIRE(stack.error);
    CHECK(stack.error->code == ErrorCode::too_deep);
    CHECK(stack.frames.size() <= 300);
    all += stack.frames.size();
  }
  CHECK(all == 700);
}

TEST_CASE("a chain that ends in unreadable memory says where") {
  FakePython fake(12);
  fake.memory.put_value(fake.frame(3) + fake.python.layout.frame.previous, Address{0xdead000});
  const PythonStack stack = read(fake, fake.request());
  REQUIRE(stack.error);
  CHECK(stack.error->code == ErrorCode::unreadable);
  CHECK(stack.error->address == 0xdead000);
  CHECK(stack.frames.size() == 3);
}

TEST_CASE("hidden links that lead elsewhere are not believed") {
  FakePython fake(13);
  const Address hidden =
      FakePython::frame_objects + FakePython::per_frame + fake.python.layout.frame_object.real_previous;
  for (const Address lie : {Address{0}, Address{1}, Address{0xdead000}, fake.frame(0), fake.frame(1)}) {
    fake.memory.put_value(hidden, lie);
    const PythonStack stack = read(fake, fake.request());
    INFO(std::hex << lie);
    CHECK(!stack.error);
    REQUIRE(stack.frames.size() == 3);
    CHECK(!stack.frames[1].entry);  // not known, and not guessed
    CHECK(stack.frames[2].entry_frame == FakePython::stack_start + 0x400);
  }
}

TEST_CASE("what was a code object and is no more ends the stack") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    FakePython fake(minor);
    PythonReader reader(fake.python);
    CHECK(reader.read(fake.memory, fake.request()).frames.size() == 3);
    fake.memory.put_value(fake.code(1) + PythonLayout::object_type, Address{0x1234});
    const PythonStack stack = reader.read(fake.memory, fake.request());
    REQUIRE(stack.error);
    CHECK(stack.error->code == ErrorCode::corrupt);
    CHECK(stack.frames.size() == 1);
  }
}

TEST_CASE("another code object at a remembered address is seen") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    FakePython fake(minor);
    PythonReader reader(fake.python);
    CHECK(reader.read(fake.memory, fake.request()).frames[0].function == "Class.inner");
    fake.put_code(0, U"another", U"/srv/other.py", 99);
    const PythonStack stack = reader.read(fake.memory, fake.request());
    REQUIRE(stack.frames.size() == 3);
    CHECK(stack.frames[0].function == "another");
    CHECK(stack.frames[0].file == "/srv/other.py");
    CHECK(stack.frames[0].line == 100);
  }
}

TEST_CASE("names longer than the limit are cut, and say so") {
  FakePython fake(11);
  PythonLimits limits;
  limits.name = 5;
  PythonReader reader(fake.python, limits);
  CHECK(reader.read(fake.memory, fake.request()).frames[0].function == "Class…");
}

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
    const PythonStack stack = read(fake, fake.request());
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

TEST_CASE("lists of threads that lie end") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    INFO("3." << minor);
    const PythonLayout layout = FakePython(minor).python.layout;
    const auto read_with = [&](Address at, Address value) {
      FakePython fake(minor);
      fake.memory.put_value(at, value);
      return read_python_threads(fake.target, fake.python);
    };
    const PythonThreads circle =
        read_with(FakePython::threads[1] + layout.thread.next, FakePython::threads[0]);
    REQUIRE(circle.error);
    CHECK(circle.error->code == ErrorCode::corrupt);
    CHECK(circle.threads.size() == 2);
    const PythonThreads interpreters =
        read_with(FakePython::interpreters[1] + layout.interpreter.next, FakePython::interpreters[0]);
    REQUIRE(interpreters.error);
    CHECK(interpreters.threads.size() == 3);
    const PythonThreads foreign =
        read_with(FakePython::threads[1] + layout.thread.interp, FakePython::interpreters[1]);
    REQUIRE(foreign.error);
    CHECK(foreign.threads.size() == 1);
    const PythonThreads gone = read_with(FakePython::threads[0] + layout.thread.next, 0xdead000);
    REQUIRE(gone.error);
    CHECK(gone.error->code == ErrorCode::unreadable);
  }
}
