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
#include "tests/python/fake_python.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

constexpr unsigned first_minor = 8;
constexpr unsigned minors = 8;

void check(bool holds) {
  if (!holds) __builtin_trap();
}

/// Takes numbers off the input, zeros at its end.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::span<const std::uint8_t> rest() const { return bytes_; }
  template <class T>
  T take() {
    T value{};
    const std::size_t size = std::min(sizeof value, bytes_.size());
    if (size > 0) std::memcpy(&value, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

/// The fake's memory as a few flat pieces that can be changed and put back.
class Image final : public Memory {
 public:
  explicit Image(const FakePython& fake) {
    for (const auto& [start, size] : places) {
      Piece& piece = pieces_.emplace_back(Piece{start, std::vector<std::byte>(size)});
      for (std::size_t at = 0; at < size; at += 8) {
        fake.memory.read_some(start + at, std::span(piece.bytes).subspan(at, 8));
      }
    }
  }

  void read_batch(std::span<ReadRequest> requests) const override {
    for (ReadRequest& request : requests) {
      request.got = 0;
      for (const Piece& piece : pieces_) {
        const Address offset = request.address - piece.start;
        if (request.into.empty() || request.address < piece.start || offset >= piece.bytes.size()) continue;
        request.got = std::min<std::size_t>(request.into.size(), piece.bytes.size() - offset);
        std::memcpy(request.into.data(), piece.bytes.data() + offset, request.got);
      }
    }
  }

  void change(Input& input) {
    Piece& piece = pieces_[input.take<std::uint8_t>() % pieces_.size()];
    const std::size_t at = input.take<std::uint16_t>() % piece.bytes.size();
    // A word that is likely to mean something, or any bytes.
    const std::uint8_t how = input.take<std::uint8_t>();
    std::uint64_t value = input.take<std::uint8_t>();
    std::size_t size = 1;
    std::size_t from = at;
    if (how % 4 == 1) {
      const Piece& other = pieces_[value % pieces_.size()];
      value = other.start + input.take<std::uint16_t>() % other.bytes.size();
    } else if (how % 4 == 2) {
      value = input.take<std::uint64_t>();
    }
    if (how % 4 == 1 || how % 4 == 2) {
      from = at & ~std::size_t{7};
      size = sizeof value;
    }
    auto& undo = undo_.emplace_back(&piece, from, std::uint64_t{0}, size);
    std::memcpy(&undo.before, piece.bytes.data() + from, size);
    std::memcpy(piece.bytes.data() + from, &value, size);
  }

  void put_back() {
    for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
      std::memcpy(undo->piece->bytes.data() + undo->at, &undo->before, undo->size);
    }
    undo_.clear();
  }

 private:
  struct Piece {
    Address start = 0;
    std::vector<std::byte> bytes;
  };
  struct Undo {
    Undo(Piece* in, std::size_t offset, std::uint64_t old, std::size_t length)
        : piece(in), at(offset), before(old), size(length) {}
    Piece* piece;
    std::size_t at;
    std::uint64_t before;
    std::size_t size;
  };
  static constexpr std::pair<Address, std::size_t> places[] = {
      {FakePython::runtime, 0x400},
      {FakePython::interpreters[0], 0x2000},
      {FakePython::interpreters[1], 0x2000},
      {FakePython::threads[0], 0xb00},
      {FakePython::threads[1], 0xb00},
      {FakePython::threads[2], 0xb00},
      {FakePython::codes, 4 * FakePython::per_code},
      {FakePython::frames, 4 * FakePython::per_frame},
      {FakePython::frame_objects, 4 * FakePython::per_frame},
      {FakePython::thread_frames, 4 * FakePython::per_frame},
      {FakePython::thread_stack, 0x900},
      {FakePython::objects, 0x2b00},
  };

  std::vector<Piece> pieces_;
  std::vector<Undo> undo_;
};

/// One version's interpreter, made once.
struct Subject {
  explicit Subject(unsigned minor) : fake(minor), image(fake) { fake.target.memory_ = &image; }
  FakePython fake;
  Image image;
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
