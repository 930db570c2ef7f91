// The Python reader on bytes that were never in a process: every version, every failing read, and lies.
#include <fmt/format.h>

#include <algorithm>

#include "inspect/python/python_frames.hpp"
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
