// Python stacks of a real program against what the program itself knows of them. The interpreter is Debian's;
// another one is tested with COPPICE_TEST_PYTHON=/path/to/python3.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "inspect/memory/slice_memory.hpp"
#include "inspect/python/python_frames.hpp"
#include "inspect/python/python_locals.hpp"
#include "tests/python/python_subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

constexpr const char* random_greenlets = "400";

/// Greenlets as a provider would give them.
std::vector<Greenlet> greenlets_of(const PythonSubject& subject, const Target& target) {
  std::vector<Greenlet> greenlets;
  for (const ExpectedGreenlet& expected : subject.greenlets) {
    Greenlet& greenlet = greenlets.emplace_back();
    greenlet.python = expected.position;
    greenlet.slice = expected.slice;
    if (greenlet.slice.stop == ~Address{0}) {  // a main greenlet: to the end of its thread's stack
      const auto mappings = target.mappings();
      const auto stack = std::ranges::find_if(mappings, [&](const Mapping& mapping) {
        return greenlet.slice.start >= mapping.start && greenlet.slice.start < mapping.end;
      });
      REQUIRE(stack != mappings.end());
      greenlet.slice.stop = stack->end;
    }
    const SliceMemory slice = SliceMemory::fetch(greenlet.slice, target.memory());
    greenlet.stack.assign(slice.stack().begin(), slice.stack().end());
  }
  return greenlets;
}

struct Counts {
  std::size_t greenlets = 0, frames = 0, different = 0, runs = 0, lost = 0, with_locals = 0;
};

/// Compares the local variables of the one frame whose variables the program tells.
void compare_locals(const ExpectedGreenlet& expected, const PythonStack& stack, const Target& target,
                    const PythonRuntime& python) {
  const auto frame = std::ranges::find(stack.frames, Interned("with_locals"), &PythonFrame::function);
  REQUIRE(frame != stack.frames.end());
  const PythonLocals locals = read_python_locals(target.memory(), python, *frame);
  REQUIRE(!locals.error);
  CHECK(locals.left_out == 0);
  std::map<std::string, std::string> found;
  for (const PythonLocal& local : locals.locals) found[local.name] = local.value;
  CHECK(found.erase("path") == 1);
  CHECK(found.size() >= 25);
  CHECK(found == expected.locals);
}

/// Reads all greenlets and compares them frame by frame.
Counts compare_greenlets(const PythonSubject& subject, const Target& target, PythonReader& reader) {
  const std::vector<Greenlet> greenlets = greenlets_of(subject, target);
  std::vector<PythonRequest> requests;
  for (const Greenlet& greenlet : greenlets) requests.push_back(PythonRequest::of_greenlet(greenlet));
  const std::vector<PythonStack> stacks = reader.read_all(target.memory(), requests);
  REQUIRE(stacks.size() == greenlets.size());
  Counts counts;
  for (std::size_t i = 0; i < stacks.size(); ++i) {
    const std::string different = differences(subject.greenlets[i].frames, stacks[i]);
    // gcore writes the stacks of threads as zeros where it trips over a guard page: entry frames are gone.
    const bool lost =
        target.kind() == Target::Kind::core && greenlets[i].stack.size() < greenlets[i].slice.size();
    const std::string marks = lost ? std::string() : wrong_marks(subject.hex, stacks[i]);
    counts.lost += lost ? 1U : 0U;
    CHECK(different.empty());
    CHECK(marks.empty());
    if (!different.empty() || !marks.empty()) {
      if (++counts.different < 5) WARN("greenlet " << i << ":\n" << different << marks);
    }
    for (const PythonFrame& frame : stacks[i].frames) {
      if (frame.entry_frame == 0) continue;
      ++counts.runs;
      CHECK(frame.entry_frame > greenlets[i].slice.start);
      CHECK(frame.entry_frame < greenlets[i].slice.stop);
    }
    if (!subject.greenlets[i].locals.empty()) {
      compare_locals(subject.greenlets[i], stacks[i], target, reader.runtime());
      ++counts.with_locals;
    }
    ++counts.greenlets;
    counts.frames += stacks[i].frames.size();
  }
  return counts;
}

PythonRuntime the_only_python(const Target& target) {
  PythonSearch search = find_python(target);
  for (const Error& refused : search.refused) WARN(refused.message);
  REQUIRE(search.refused.empty());
  REQUIRE(search.found.size() == 1);
  return search.found.front();
}

/// Compares the threads, of all interpreters; returns how many are those the program wrote of.
std::size_t compare_threads(const PythonSubject& subject, const Target& target, PythonReader& reader) {
  const PythonThreads threads = read_python_threads(target, reader.runtime());
  CHECK(!threads.error);
  std::size_t matched = 0;
  bool other_found = subject.other.empty();
  for (const PythonThread& thread : threads.threads) {
    const PythonStack stack = reader.read(target.memory(), PythonRequest::of_thread(thread));
    // gcore, see above; the thread itself is known nevertheless.
    const bool lost = target.kind() == Target::Kind::core && stack.error;
    if (lost) CHECK(stack.error->code == ErrorCode::unreadable);
    if (thread.interpreter_id != 0 && (lost || (stack.frames.size() == 2 && !stack.error &&
                                                stack.frames.front().function == subject.other))) {
      other_found = true;
    }
    for (const ExpectedThread& expected : subject.threads) {
      if (expected.pthread != thread.pthread || thread.interpreter_id != 0) continue;
      ++matched;
      const auto known = target.threads();
      const auto found = std::ranges::find(known, thread.tid.value_or(0), &Thread::tid);
      REQUIRE(found != known.end());
      CHECK(found->nstid.value_or(found->tid) == expected.tid);
      if (lost) continue;
      const std::string different = differences(expected.frames, stack);
      const std::string marks = wrong_marks(subject.hex, stack);
      INFO(different << marks);
      CHECK(different.empty());
      CHECK(marks.empty());
      CHECK(stack.frames.size() >= 3);
    }
  }
  CHECK(other_found);
  CHECK(matched == subject.threads.size());
  CHECK(matched == 4);
  return matched;
}

void check_all(const PythonSubject& subject, const Target& target, const char* how) {
  CHECK(subject.disagree == 0);
  const PythonRuntime python = the_only_python(target);
  CHECK(python.version.hex == subject.hex);
  PythonReader reader(python);
  const Counts counts = compare_greenlets(subject, target, reader);
  CHECK(counts.greenlets >= 400);
  CHECK(counts.frames >= 4000);
  CHECK(counts.with_locals == 1);
  CHECK(counts.lost <= 1);  // only one has part of its stack on that of a thread
  if (subject.hex >= 0x030c0000) CHECK(counts.runs > counts.greenlets);
  const Counts again = compare_greenlets(subject, target, reader);  // now everything is remembered
  CHECK(again.frames == counts.frames);

  const std::size_t matched = compare_threads(subject, target, reader);
  std::cout << fmt::format(
      "{}: CPython {}, greenlet {}: {} greenlets, {} frames, {} runs, {} different; {} threads\n", how,
      python.version.text(), subject.greenlet_version, counts.greenlets, counts.frames, counts.runs,
      counts.different, matched);
}

}  // namespace

TEST_CASE("Python frames of a live process are those it has itself") {
  const PythonSubject subject(SUBJECT_SCRIPT, {"1", random_greenlets});
  auto target = open_process(subject.pid());
  REQUIRE(target.ok());
  check_all(subject, **target, "live");
}

TEST_CASE("Python frames out of gcore's core are those the process had") {
  const test::ScratchFolder folder;
  const PythonSubject subject(SUBJECT_SCRIPT, {"2", random_greenlets});
  const std::string stem = folder.path() + "/core";
  test::run(fmt::format("gcore -o {} {} >/dev/null 2>&1", stem, subject.pid()));
  auto target = open_core(fmt::format("{}.{}", stem, subject.pid()), {});
  INFO((target.ok() ? std::string() : target.error().message));
  REQUIRE(target.ok());
  check_all(subject, **target, "core");
}
