// The Python reader on an interpreter whose bytes were changed: none of it may crash, hang or grow, and what
// it says must be consistent. The input is a version and a list of changes to the memory of
// tests/python/fake_python.hpp, so that the fuzzer starts from stacks that are right.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "inspect/python/python_locals.hpp"
#include "inspect/python/python_objects.hpp"
#include "inspect/python/python_version.hpp"
#include "tests/fuzz/changed_image.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/python/fake_python.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

constexpr unsigned first_minor = 8;
constexpr unsigned minors = 8;

constexpr AddressRange from(Address start, std::uint64_t size) {
  return {start, start + size};
}

constexpr AddressRange places[] = {
    from(FakePython::runtime, 0x400),
    from(FakePython::interpreters[0], 0x2000),
    from(FakePython::interpreters[1], 0x2000),
    from(FakePython::threads[0], 0xb00),
    from(FakePython::threads[1], 0xb00),
    from(FakePython::threads[2], 0xb00),
    from(FakePython::codes, 4 * FakePython::per_code),
    from(FakePython::frames, 4 * FakePython::per_frame),
    from(FakePython::frame_objects, 4 * FakePython::per_frame),
    from(FakePython::thread_frames, 4 * FakePython::per_frame),
    from(FakePython::thread_stack, 0x900),
    from(FakePython::objects, 0x2b00),
};

/// One version's interpreter, made once.
struct Subject {
  explicit Subject(unsigned minor) : fake(minor), image(fake.memory, places) { fake.target.memory_ = &image; }
  FakePython fake;
  ChangedImage image;
};

PythonLimits limits() {
  PythonLimits limits;
  limits.frames = 64;
  limits.all_frames = 200;
  limits.name = 32;
  limits.file = 32;
  limits.line_table = 4096;
  limits.codes = 256;
  return limits;
}

void check_stack(const PythonStack& stack) {
  check(stack.frames.size() <= limits().frames);
  check(!stack.error || !stack.error->message.empty());
  check(stack.error || stack.frames.empty() || stack.frames.back().entry);
  for (const PythonFrame& frame : stack.frames) {
    check(frame.entry || frame.entry_frame == 0);
    check(frame.function.size() <= limits().name * 4 + 3 && frame.file.size() <= limits().file * 4 + 3);
  }
}

void read_everything(Subject& subject, const std::vector<std::byte>& stack, bool with_locals) {
  const PythonThreads threads = read_python_threads(subject.fake.target, subject.fake.python);
  check(!threads.error || !threads.error->message.empty());
  std::vector<PythonRequest> requests;
  PythonRequest greenlet = subject.fake.request();
  greenlet.stack = stack;
  requests.push_back(greenlet);
  for (const PythonThread& thread : threads.threads) requests.push_back(PythonRequest::of_thread(thread));
  PythonReader reader(subject.fake.python, limits());
  const std::vector<PythonStack> stacks = reader.read_all(subject.image, requests);
  check(stacks.size() == requests.size());
  std::size_t frames = 0;
  for (const PythonStack& each : stacks) {
    check_stack(each);
    frames += each.frames.size();
  }
  check(frames <= limits().all_frames);
  if (!with_locals || stacks[0].frames.empty()) return;
  constexpr std::size_t most_locals = 14;
  const ReprLimits shown{100, 20, 3, 2};
  const PythonLocals locals =
      read_python_locals(subject.image, subject.fake.python, stacks[0].frames[0], most_locals, shown);
  check(locals.locals.size() <= most_locals);
  for (const PythonLocal& local : locals.locals) check(local.value.size() < 1000);
}

void read_objects(const Subject& subject) {
  const PythonLayout& layout = subject.fake.python.layout;
  const Address object = FakePython::codes + 0x800;
  const auto text = read_python_string(subject.image, layout, object, 64);
  check(!text.ok() || text->utf8.size() <= std::size_t{64} * 4);
  const auto bytes = read_python_bytes(subject.image, layout, FakePython::codes + 0xc00, 64);
  check(!bytes.ok() || bytes->size() <= 64);
  const auto items = read_python_tuple(subject.image, layout, object, 64);
  check(!items.ok() || items->size() <= 64);
  const auto integer = read_python_integer(subject.image, layout, object);
  check(!integer.ok() || !integer->value || (*integer->value < 0) <= integer->negative);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::array<std::unique_ptr<Subject>, minors> subjects;
  Input input({data, size});
  const unsigned number = input.take<std::uint8_t>() % minors;
  if (!subjects[number]) subjects[number] = std::make_unique<Subject>(first_minor + number);
  Subject& subject = *subjects[number];
  std::vector<std::byte> stack = subject.fake.stack;
  const bool with_locals = input.take<std::uint8_t>() % 4 == 0;
  const unsigned on_stack = input.take<std::uint8_t>() % 4;
  for (unsigned i = 0; i < on_stack; ++i) {
    const std::size_t at = input.take<std::uint16_t>() % (stack.size() - 7);
    const auto value = input.take<std::uint64_t>();
    std::memcpy(stack.data() + at, &value, sizeof value);
  }
  if (on_stack == 3) stack.resize(input.take<std::uint16_t>() % stack.size());
  find_version_text(std::as_bytes(input.rest()));
  for (int changes = 0; changes < 32 && !input.rest().empty(); ++changes) subject.image.change(input);
  read_everything(subject, stack, with_locals);
  read_objects(subject);
  subject.image.put_back();
  return 0;
}
