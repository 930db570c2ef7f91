// The provider for CPython on made-up processes: every known layout, every kind of greenlet, lies and
// failures.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "inspect/greenlets/cpython_provider.hpp"
#include "tests/greenlets/fake_cpython.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

std::vector<FakeBuild> all_builds() {
  std::vector<FakeBuild> builds;
  for (const KnownLayout& known : known_layouts) builds.push_back({&known, known.python_first, false});
  for (const unsigned minor : {8U, 10U, 11U}) builds.push_back({nullptr, minor, false});
  return builds;
}

std::string title(const FakeBuild& build) {
  if (build.known == nullptr) return "greenlet 1.x, CPython 3." + std::to_string(build.python_minor);
  return std::string("greenlet ") + build.known->greenlet + ", CPython 3." +
         std::to_string(build.python_minor);
}

ProviderReading read(const FakeCpython& fake, const ReadOptions& options = {}) {
  const auto provider = find_cpython(fake.target);
  REQUIRE(provider != nullptr);
  auto reading = provider->read(options);
  INFO((reading.ok() ? "" : reading.error().message));
  REQUIRE(reading.ok());
  return std::move(*reading);
}

const Greenlet& with_id(const ProviderReading& reading, const std::string& id) {
  const auto found = std::ranges::find(reading.greenlets, id, &Greenlet::id);
  INFO(id);
  REQUIRE(found != reading.greenlets.end());
  return *found;
}

std::uint64_t word_of(const std::vector<std::byte>& bytes, std::size_t at) {
  std::uint64_t word = 0;
  REQUIRE(at + sizeof word <= bytes.size());
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

std::uint64_t stack_word(Address at) {
  return 0xee00 + (at - FakeCpython::stack_low) / 8;
}

/// The greenlets of one_of_each_kind(), as they must be seen. Greenlet 1.x cannot tell who runs on a thread
/// that CPython is not asked about.
void check_each_kind(const FakeCpython& fake, const ProviderReading& reading) {
  const auto greenlets = one_of_each_kind();
  REQUIRE(reading.greenlets.size() == greenlets.size());
  const State states[] = {State::suspended, State::running,  State::suspended, State::suspended,
                          State::unstarted, State::finished, State::orphaned,  State::finished};
  for (std::size_t i = 0; i < greenlets.size(); ++i) {
    INFO(i);
    const Greenlet& greenlet = with_id(reading, fake.id(i));
    if (!fake.flat() || i < 6) CHECK(greenlet.state == states[i]);
    if (!fake.flat() || i < 7) CHECK(greenlet.main == greenlets[i].main);
    CHECK(greenlet.provider == "cpython");
    CHECK(greenlet.type == (greenlets[i].derived ? "gevent.Greenlet" : "greenlet.greenlet"));
    const int parent = greenlets[i].parent;
    CHECK(greenlet.parent.value_or("") == (parent < 0 ? "" : fake.id(static_cast<std::size_t>(parent))));
    if (i < 6) CHECK(greenlet.tid == FakeCpython::tid);
    if (i != 0 && i != 2 && i != 3) continue;
    CHECK_FALSE(greenlet.error);
    CHECK(greenlet.slice.start == greenlets[i].start);
    CHECK(greenlet.slice.stop == (greenlets[i].main ? FakeCpython::stack_high : greenlets[i].stop));
    CHECK(greenlet.slice.saved == greenlets[i].saved);
    REQUIRE(greenlet.stack.size() == greenlet.slice.size());
    const std::uint64_t repeated = 0x0101010101010101 * (i + 1);
    for (std::size_t at = 0; at < greenlet.stack.size(); at += 8) {
      CHECK(word_of(greenlet.stack, at) ==
            (at < greenlet.slice.saved ? repeated : stack_word(greenlet.slice.start + at)));
    }
    CHECK(greenlet.registers.pc() == FakeCpython::resume_pc);
    CHECK(greenlet.registers.sp() == greenlet.slice.start);
    CHECK(greenlet.registers.known(x86_64::rbp));
    CHECK(greenlet.registers.get(x86_64::rbx) == word_of(greenlet.stack, 0x10));
    CHECK(greenlet.registers.get(x86_64::rbp) == word_of(greenlet.stack, 0x08));
    REQUIRE(greenlet.python);
    CHECK(greenlet.python->top_frame == fake.frame_object(i));
    const bool has_frames = fake.build.python_minor >= 11;
    CHECK(greenlet.python->current_frame == (has_frames ? fake.frame(i) : 0));
  }
  const Greenlet& running = with_id(reading, fake.id(1));
  CHECK_FALSE(running.error);
  CHECK(running.registers.sp() == FakeCpython::thread_sp);
  CHECK(running.slice.start == FakeCpython::thread_sp - 128);
  CHECK(running.slice.stop == greenlets[1].stop);
  CHECK(running.stack.size() == running.slice.size());
}

}  // namespace

TEST_CASE("every kind of greenlet is seen as it is, in every known layout") {
  for (const FakeBuild& build : all_builds()) {
    INFO(title(build));
    FakeCpython fake(build, one_of_each_kind());
    if (!fake.flat()) fake.run(0, 1);
    const ProviderReading reading = read(fake);
    check_each_kind(fake, reading);
    CHECK(reading.warnings.empty());
    CHECK(reading.torn == 0);
  }
}

TEST_CASE("calibration finds what the table says, without the table") {
  for (const KnownLayout& known : known_layouts) {
    INFO(title({&known, known.python_first, false}));
    FakeCpython fake({&known, known.python_first, false}, one_of_each_kind());
    fake.run(0, 1);
    const auto extensions = find_greenlet_extensions(fake.target);
    REQUIRE(extensions.size() == 1);
    std::vector<Address> places;
    for (std::size_t i = 0; i < one_of_each_kind().size(); ++i) places.push_back(fake.pimpl(i));
    const auto layout = calibrate(fake.memory, extensions[0], places, std::nullopt);
    REQUIRE(layout.ok());
    REQUIRE(*layout);
    CHECK((*layout)->self == known.self);
    CHECK((*layout)->start == known.start);
    CHECK((*layout)->top_frame == known.top_frame);
    CHECK((*layout)->current_frame == known.current_frame);
    CHECK((*layout)->main == known.main);
    CHECK((*layout)->thread_state == known.thread_state);
  }
}

TEST_CASE("registers that slp_switch() keeps by its frame pointer are found by its return address") {
  auto greenlets = one_of_each_kind();
  FakeCpython fake({&known_layouts[2], 11, true}, greenlets);
  fake.run(0, 1);
  const Address cfa = greenlets[2].start + 0x60;
  fake.put(fake.copy(2) + 0x58, FakeCpython::text + 0x205);  // behind the call of slp_switch()
  fake.put(fake.copy(2) + 0x50 - 0x20, 0xb1);                // rbx: -0x20(%rbp)
  fake.put(fake.copy(2) + 0x50 - 0x30, cfa - 16);            // rbp: -0x30(%rbp)
  const ProviderReading reading = read(fake);
  const Greenlet& greenlet = with_id(reading, fake.id(2));
  CHECK(greenlet.registers.get(x86_64::rbx) == 0xb1);
  CHECK(greenlet.registers.get(x86_64::rbp) == cfa - 16);
  // Where there is no return address nothing is made up.
  const Greenlet& other = with_id(reading, fake.id(3));
  CHECK(other.registers.known(x86_64::rip));
  CHECK_FALSE(other.registers.known(x86_64::rbx));
  CHECK_FALSE(other.registers.known(x86_64::rbp));
}

TEST_CASE("code that has no resume point, or two, is said to be so for each greenlet") {
  for (const bool twice : {false, true}) {
    FakeCpython fake({&known_layouts[2], 11, false}, one_of_each_kind());
    fake.run(0, 1);
    std::vector<std::byte> code(14);
    if (twice) REQUIRE(fake.memory.read(FakeCpython::resume_pc - 11, code).ok());
    fake.memory.put(twice ? FakeCpython::text + 0x240 : FakeCpython::resume_pc - 11, code);
    const ProviderReading reading = read(fake);
    CHECK(reading.greenlets.size() == one_of_each_kind().size());
    const Greenlet& greenlet = with_id(reading, fake.id(2));
    REQUIRE(greenlet.error);
    CHECK(greenlet.error->code == ErrorCode::unsupported);
    CHECK(greenlet.error->message.find(twice ? "has 2 places" : "has 0 places") != std::string::npos);
    CHECK(greenlet.stack.empty());
  }
}

TEST_CASE("a layout that does not fit is refused in words") {
  const auto refused = [](const std::function<void(FakeCpython&)>& change, const char* words) {
    FakeCpython fake({&known_layouts[2], 11, false}, one_of_each_kind());
    fake.run(0, 1);
    change(fake);
    const auto provider = find_cpython(fake.target);
    REQUIRE(provider != nullptr);
    const auto reading = provider->read({});
    REQUIRE_FALSE(reading.ok());
    CHECK(reading.error().code == ErrorCode::unsupported);
    INFO(reading.error().message);
    CHECK(reading.error().message.find(words) != std::string::npos);
  };
  const std::size_t count = one_of_each_kind().size();
  refused(
      [&](FakeCpython& fake) {
        for (std::size_t i = 0; i < count; ++i) fake.put(fake.object(i) + 0x20, 0);
      },
      "points to a Python object that points back");
  refused([](FakeCpython& fake) { fake.put(fake.pimpl(0) + fake.start_offset() + 8, 0x1234); }, "no end");
  refused(
      [&](FakeCpython& fake) {
        for (std::size_t i = 0; i < count; ++i) fake.put(fake.pimpl(i) + fake.start_offset() + 0x10, 0);
      },
      "slices cannot be");

  FakeCpython flat({nullptr, 11, false}, one_of_each_kind());
  flat.put(FakeCpython::type + 0x20, 0x120);
  const auto reading = find_cpython(flat.target)->read({});
  REQUIRE_FALSE(reading.ok());
  CHECK(reading.error().message.find("288 bytes") != std::string::npos);
}

TEST_CASE("an extension without greenlets is no error, and a process without it has no provider") {
  for (const FakeBuild& build : {FakeBuild{&known_layouts[2], 11, false}, FakeBuild{nullptr, 11, false}}) {
    const FakeCpython fake(build, {});
    CHECK(read(fake).greenlets.empty());
    FakeCpython none(build, {});
    none.target.modules_.clear();
    CHECK(find_cpython(none.target) == nullptr);
  }
}

TEST_CASE("whichever read fails, nothing untrue is shown") {
  for (const FakeBuild& build : {FakeBuild{&known_layouts[2], 11, false}, FakeBuild{nullptr, 10, false}}) {
    INFO(title(build));
    FakeCpython fake(build, one_of_each_kind());
    if (!fake.flat()) fake.run(0, 1);
    const ProviderReading whole = read(fake);
    const FailNth counting(fake.memory);
    fake.target.memory_ = &counting;
    CHECK(read(fake).greenlets.size() == whole.greenlets.size());
    const std::uint64_t reads = counting.reads();
    std::uint64_t complete = 0;
    for (std::uint64_t nth = 0; nth < reads; ++nth) {
      for (const bool and_after : {false, true}) {
        const FailNth failing(fake.memory, nth, and_after);
        fake.target.memory_ = &failing;
        const auto provider = find_cpython(fake.target);
        const auto reading = provider != nullptr ? provider->read({}) : Result<ProviderReading>(Error{});
        if (!reading.ok()) continue;
        complete += reading->greenlets.size() == whole.greenlets.size() ? 1 : 0;
        for (const Greenlet& greenlet : reading->greenlets) {
          INFO(nth << (and_after ? " and after, " : ", ") << greenlet.id);
          const Greenlet& truth = with_id(whole, greenlet.id);
          if (greenlet.error) continue;
          CHECK(greenlet.state == truth.state);
          CHECK(greenlet.stack.size() <= truth.stack.size());
          CHECK(std::equal(greenlet.stack.begin(), greenlet.stack.end(), truth.stack.begin()));
        }
      }
    }
    CHECK(reads > 30);
    CHECK(complete > 10);
  }
}

TEST_CASE("fields that lie hurt only the greenlet they are of") {
  FakeCpython fake({&known_layouts[2], 11, false}, one_of_each_kind());
  fake.run(0, 1);
  const std::uint16_t start = fake.start_offset();
  fake.put(fake.pimpl(2) + start, FakeCpython::stack_high);  // behind its stop
  fake.put(fake.pimpl(3) + start + 0x18, UINT64_MAX);        // saved
  fake.put(fake.pimpl(4) + 0xa8 + 0x10, fake.object(4));     // its own parent
  fake.put(fake.pimpl(6) + start + 0x10, 0x10);              // a copy nowhere
  fake.put(fake.pimpl(1) + 0xa8 + 0x10, 0xdead0000);         // no greenlet's child
  const ProviderReading reading = read(fake);
  CHECK(reading.greenlets.size() == one_of_each_kind().size());
  for (const std::size_t number : {std::size_t{2}, std::size_t{3}}) {
    INFO(number);
    const Greenlet& greenlet = with_id(reading, fake.id(number));
    REQUIRE(greenlet.error);
    CHECK(greenlet.error->code == ErrorCode::corrupt);
    CHECK(greenlet.stack.empty());
  }
  CHECK_FALSE(with_id(reading, fake.id(4)).tid);
  CHECK(with_id(reading, fake.id(4)).parent == fake.id(4));
  CHECK_FALSE(with_id(reading, fake.id(1)).parent);
  CHECK(with_id(reading, fake.id(6)).stack.empty());
  CHECK_FALSE(with_id(reading, fake.id(0)).error);
}

namespace {

/// Memory that changes: before its nth batch something is done to it.
class Changing final : public Memory {
 public:
  Changing(FakeMemory& memory, std::function<void(std::uint64_t)> change)
      : memory_(memory), change_(std::move(change)) {}
  void read_batch(std::span<ReadRequest> requests) const override {
    change_(batches_++);
    memory_.read_batch(requests);
  }

 private:
  FakeMemory& memory_;
  std::function<void(std::uint64_t)> change_;
  mutable std::uint64_t batches_ = 0;
};

}  // namespace

TEST_CASE("greenlets that are switched underneath are read again, and in the end marked torn") {
  for (const bool forever : {false, true}) {
    FakeCpython fake({&known_layouts[2], 11, false}, one_of_each_kind());
    fake.run(0, 1);
    fake.target.stillness_ = std::nullopt;
    const auto provider = find_cpython(fake.target);
    // The header stays the same and the bytes change: a switch there and back.
    const Changing memory(fake.memory, [&](std::uint64_t batch) {
      if (forever || batch < 40) fake.put(fake.copy(2) + 0x20, batch);
    });
    fake.target.memory_ = &memory;
    ReadOptions options;
    options.stopping = Stopping::never;
    const auto reading = provider->read(options);
    REQUIRE(reading.ok());
    CHECK(reading->greenlets.size() == one_of_each_kind().size());
    const Greenlet& greenlet = with_id(*reading, fake.id(2));
    if (forever) {
      CHECK(reading->lost == 1);
      CHECK(reading->torn == 6);
      CHECK(reading->retried == 5);
      REQUIRE(greenlet.error);
      CHECK(greenlet.error->code == ErrorCode::torn);
      CHECK(greenlet.stack.empty());
    } else {
      CHECK(reading->lost == 0);
      CHECK_FALSE(greenlet.error);
      CHECK(greenlet.stack.size() == 0x300);
    }
    CHECK_FALSE(with_id(*reading, fake.id(0)).error);
  }
}

TEST_CASE("a thread that is amid a switch is looked at again") {
  FakeCpython fake({&known_layouts[2], 11, false}, one_of_each_kind());
  fake.run(0, 1);
  fake.target.stillness_ = std::nullopt;
  const Address top_frame = fake.pimpl(1) + known_layouts[2].top_frame;
  int calls = 0;
  for (const int amid : {0, 3, 100}) {
    calls = 0;
    fake.target.before_still_ = [&] { fake.put(top_frame, calls++ < amid ? fake.frame_object(1) : 0); };
    const ProviderReading reading = read(fake);
    const Greenlet& greenlet = with_id(reading, fake.id(1));
    CHECK(reading.lost == (amid == 100 ? 1 : 0));
    CHECK(greenlet.error.has_value() == (amid == 100));
    CHECK(calls == std::min(amid + 1, 21));
    if (amid != 100) CHECK(greenlet.registers.sp() == FakeCpython::thread_sp);
    if (amid == 100) CHECK(greenlet.error->code == ErrorCode::torn);
  }
}

TEST_CASE("what a process did while it was read is caught up with when it stands still") {
  FakeCpython fake({&known_layouts[2], 11, false}, one_of_each_kind());
  fake.run(0, 1);
  fake.target.stillness_ = std::nullopt;
  // 1 is switched away from, 2 runs, and 8 is born.
  fake.target.before_still_ = [&] {
    auto greenlets = one_of_each_kind();
    const auto running = greenlets[1], suspended = greenlets[2];
    greenlets[1].start = suspended.start;
    greenlets[1].saved = suspended.saved;
    greenlets[2].start = running.start;
    greenlets[2].saved = 0;
    greenlets[1].top_frame = true;
    greenlets[2].top_frame = false;
    greenlets.push_back({.thread = -1, .parent = 2});
    const FakeCpython later(fake.build, greenlets);
    std::vector<std::byte> heap(FakeCpython::heap_end - FakeCpython::heap);
    REQUIRE(later.memory.read(FakeCpython::heap, heap).ok());
    fake.memory.put(FakeCpython::heap, heap);
    fake.run(0, 2);
  };
  for (const std::uint64_t pause : {std::uint64_t{4} << 20U, std::uint64_t{0}}) {
    FakeCpython before({&known_layouts[2], 11, false}, one_of_each_kind());
    before.run(0, 1);
    fake.memory = before.memory;
    CpythonLimits limits;
    limits.pause = pause;
    const auto reading = find_cpython(fake.target, limits)->read({});
    REQUIRE(reading.ok());
    CHECK(reading->greenlets.size() == 9);
    CHECK(with_id(*reading, fake.id(1)).state == State::suspended);
    CHECK(with_id(*reading, fake.id(1)).stack.size() == 0x300);
    CHECK(with_id(*reading, fake.id(2)).state == State::running);
    CHECK(with_id(*reading, fake.id(2)).stack.size() > 0x300);
    CHECK(with_id(*reading, fake.id(8)).state == State::unstarted);
    CHECK(reading->lost == 0);
    CHECK(reading->torn == 1);  // 2; what runs is never kept
  }
}

TEST_CASE("whether a greenlet has been switched since it was read can be asked") {
  FakeCpython fake({&known_layouts[2], 11, false}, one_of_each_kind());
  fake.run(0, 1);
  const auto provider = find_cpython(fake.target);
  auto reading = provider->read({});
  REQUIRE(reading.ok());
  std::vector<Greenlet*> asleep;
  for (Greenlet& greenlet : reading->greenlets) {
    if (greenlet.state == State::suspended && !greenlet.error) asleep.push_back(&greenlet);
  }
  REQUIRE(asleep.size() > 2);
  const std::vector<std::byte> stack = asleep[1]->stack;
  CHECK(provider->still_there(asleep) == std::vector<bool>(asleep.size(), true));
  CHECK(asleep[1]->stack == stack);
  // One begins elsewhere, another has other bytes.
  std::vector<bool> expected(asleep.size(), true);
  expected[0] = expected[1] = false;
  for (std::size_t i = 0; i < reading->greenlets.size(); ++i) {
    if (&reading->greenlets[i] == asleep[0]) fake.put(fake.pimpl(i) + known_layouts[2].start, 8);
  }
  fake.put(asleep[1]->slice.copy, 0x0123456789abcdef);
  CHECK(provider->still_there(asleep) == expected);
}

TEST_CASE("whether a greenlet has started since it was read can be asked") {
  FakeCpython fake({&known_layouts[2], 11, false}, one_of_each_kind());
  fake.run(0, 1);
  const auto provider = find_cpython(fake.target);
  auto reading = provider->read({});
  REQUIRE(reading.ok());
  std::vector<Greenlet*> stackless;
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < reading->greenlets.size(); ++i) {
    Greenlet& greenlet = reading->greenlets[i];
    if (greenlet.state != State::unstarted && greenlet.state != State::finished) continue;
    stackless.push_back(&greenlet);
    numbers.push_back(i);
  }
  REQUIRE(stackless.size() >= 2);
  CHECK(provider->still_there(stackless) == std::vector<bool>(stackless.size(), true));
  for (const std::size_t number : numbers)
    fake.put(fake.pimpl(number) + known_layouts[2].start, 0x7f0000001000);
  CHECK(provider->still_there(stackless) == std::vector<bool>(stackless.size(), false));
}
