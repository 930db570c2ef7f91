// The provider for CPython on a process whose bytes were changed: none of it may crash, hang or grow, and
// what it says must be consistent. The input is a layout and a list of changes to the memory of
// tests/greenlets/fake_cpython.hpp, so that the fuzzer starts from greenlets that are right.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "inspect/greenlets/cpython_provider.hpp"
#include "tests/fuzz/changed_image.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/greenlets/fake_cpython.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

constexpr AddressRange places[] = {{FakeCpython::module_start, FakeCpython::module_end},
                                   {FakeCpython::heap, FakeCpython::heap_end},
                                   {FakeCpython::stack_low, FakeCpython::stack_high}};

/// One process of each layout.
struct Subject {
  explicit Subject(const FakeBuild& build) : fake(build, one_of_each_kind()) {
    if (!fake.flat()) fake.run(0, 1);
    image = std::make_unique<ChangedImage>(fake.memory, places);
    fake.target.memory_ = image.get();
  }
  FakeCpython fake;
  std::unique_ptr<ChangedImage> image;
};

std::vector<std::unique_ptr<Subject>> make_subjects() {
  std::vector<std::unique_ptr<Subject>> subjects;
  for (const KnownLayout& known : known_layouts) {
    subjects.push_back(
        std::make_unique<Subject>(FakeBuild{&known, known.python_first, subjects.size() % 2 != 0}));
  }
  for (const unsigned minor : {8U, 11U}) {
    subjects.push_back(std::make_unique<Subject>(FakeBuild{nullptr, minor, false}));
  }
  return subjects;
}

/// Limits small enough that reaching them is cheap.
CpythonLimits limits() {
  CpythonLimits limits;
  limits.stack = 1U << 14U;
  limits.stacks = 1U << 16U;
  limits.batch = 1U << 12U;
  limits.pause = 1U << 11U;
  limits.search.greenlets = 64;
  return limits;
}

void check_greenlet(const Greenlet& greenlet) {
  check(!greenlet.id.empty());
  check(greenlet.stack.size() <= limits().stack);
  check(std::string_view(name(greenlet.state)) != "unknown");
  if (greenlet.error) check(!greenlet.error->message.empty());
  const bool asleep = greenlet.state == State::suspended || greenlet.state == State::orphaned;
  if (!asleep) return;
  check(greenlet.slice.start <= greenlet.slice.stop);
  check(greenlet.slice.saved <= greenlet.slice.size());
  check(greenlet.stack.size() <= greenlet.slice.size());
  if (!greenlet.stack.empty()) check(greenlet.registers.sp() == greenlet.slice.start);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input({data, size});
  static const std::vector<std::unique_ptr<Subject>> subjects = make_subjects();
  Subject& subject = *subjects[input.take<std::uint8_t>() % subjects.size()];
  const std::uint8_t flags = input.take<std::uint8_t>();
  FakeTarget& target = subject.fake.target;
  target.kind_ = (flags & 1U) != 0 ? Target::Kind::core : Target::Kind::live;
  target.stillness_ = (flags & 2U) != 0 ? std::nullopt : std::optional(std::string());
  ReadOptions options;
  options.stopping = (flags & 4U) != 0 ? Stopping::never : Stopping::allowed;
  options.torn_retries = 1;
  // Where the process stands still only at the end, some of the changes come then.
  Input later = input;
  target.before_still_ = [&] { subject.image->change(later); };
  for (int changes = 0; changes < 16 && !input.empty(); ++changes) subject.image->change(input);
  if (const auto provider = find_cpython(target, limits())) {
    const auto reading = provider->read(options);
    if (reading.ok()) {
      std::uint64_t stacks = 0;
      for (const Greenlet& greenlet : reading->greenlets) {
        check_greenlet(greenlet);
        if (greenlet.state != State::running) stacks += greenlet.stack.size();
      }
      check(reading->greenlets.size() <= 2 * limits().search.greenlets);
      check(stacks <= 2 * limits().stacks);
      check(reading->lost <= reading->torn);
    } else {
      check(!reading.error().message.empty());
    }
  }
  subject.image->put_back();
  return 0;
}
