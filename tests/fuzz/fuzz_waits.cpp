// What greenlets wait for, what they run and who spawned them, in real programs' memory of which bytes were
// changed: none of it may crash, hang or grow. The programs of tests/waits are run and read once, at the
// start; the input says which of them, which of its greenlets, and what is changed of the bytes that are read
// for them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "inspect/snapshot/origins.hpp"
#include "inspect/waits/waits.hpp"
#include "tests/fuzz/changed_image.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/recorded_program.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

constexpr std::array programs{"gevent", "eventlet", "switched"};
constexpr std::size_t most_greenlets = 6;

WaitContext context() {
  WaitContext context;
  context.describe_fd = [](int fd) { return "file " + std::to_string(fd); };
  context.now = 1.0;
  return context;
}

std::vector<SnapshotGreenlet> entries_of(const std::vector<const Greenlet*>& greenlets) {
  std::vector<SnapshotGreenlet> entries(greenlets.size());
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i].greenlet = *greenlets[i];
  return entries;
}

void read_everything(const Target& target, const PythonRuntime& python,
                     std::vector<SnapshotGreenlet>& entries) {
  std::vector<Greenlet*> greenlets;
  for (SnapshotGreenlet& entry : entries) greenlets.push_back(&entry.greenlet);
  find_waits(target, python, greenlets, context());
  read_origins(target.memory(), python, entries);
}

struct Subject {
  explicit Subject(const std::string& name) {
    const PythonProgram program(WAITS_FOLDER "/" + name + "_program.py");
    auto live = open_process(program.pid());
    check(program.ready() && live.ok());
    recorded = std::make_unique<RecordedProgram>(record(**live));
    const RecordingMemory memory((*live)->memory());
    recorded->target.memory_ = &memory;
    std::vector<const Greenlet*> all;
    for (const Greenlet& greenlet : recorded->greenlets) all.push_back(&greenlet);
    auto entries = entries_of(all);
    read_everything(recorded->target, recorded->python, entries);
    check(std::ranges::any_of(entries, [](const auto& entry) { return entry.greenlet.waiting.has_value(); }));
    const std::vector<AddressRange> ranges = memory.ranges();
    image = std::make_unique<ChangedImage>(memory, ranges);
    recorded->target.memory_ = image.get();
  }
  std::unique_ptr<RecordedProgram> recorded;
  std::unique_ptr<ChangedImage> image;
};

void check_entry(const SnapshotGreenlet& entry) {
  const Greenlet& greenlet = entry.greenlet;
  check(greenlet.name.size() < 4096);
  check(!greenlet.waiting || (!greenlet.waiting->kind.empty() && greenlet.waiting->detail.size() < 4096));
  if (!entry.origin) return;
  check(entry.origin->function.size() < 4096 && entry.origin->arguments.size() < 4096);
  check(entry.origin->stack.size() < 256);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::array<std::unique_ptr<Subject>, programs.size()> subjects;
  Input input({data, size});
  const std::size_t number = input.take<std::uint8_t>() % programs.size();
  if (!subjects[number]) subjects[number] = std::make_unique<Subject>(programs[number]);
  Subject& subject = *subjects[number];
  std::vector<const Greenlet*> chosen;
  const std::vector<Greenlet>& all = subject.recorded->greenlets;
  const bool with_chains = input.take<std::uint8_t>() % 2 == 0;
  for (std::size_t i = 1 + input.take<std::uint8_t>() % most_greenlets; i > 0; --i) {
    chosen.push_back(&all[input.take<std::uint8_t>() % all.size()]);
  }
  auto entries = entries_of(chosen);
  for (SnapshotGreenlet& entry : entries) {
    if (!with_chains) entry.greenlet.python_chain.reset();
  }
  for (int changes = 0; changes < 32 && !input.empty(); ++changes) subject.image->change(input);
  read_everything(subject.recorded->target, subject.recorded->python, entries);
  for (const SnapshotGreenlet& entry : entries) check_entry(entry);
  subject.image->put_back();
  return 0;
}
