// The Symbolizer through a real coppice-worker, on real processes.
#include "inspect/symbols/symbolizer.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <set>
#include <tuple>

#include "inspect/base/printable.hpp"
#include "inspect/snapshot/frames.hpp"
#include "inspect/target/image.hpp"
#include "inspect/worker/debug_info/elf_file.hpp"
#include "inspect/worker/worker.hpp"
#include "tests/support/catch.hpp"
#include "tests/symbols/image_target.hpp"
#include "tests/symbols/shapes_checks.hpp"
#include "tests/symbols/shapes_file.hpp"
#include "tests/target/child.hpp"

namespace coppice::inspect::test {
namespace {

Worker::Options worker_options() {
  return {.program = COPPICE_WORKER_PROGRAM, .silence_limit_ms = 20'000};
}

/// A shapes program that runs, and a Symbolizer of it.
class Running {
 public:
  explicit Running(const std::string& program, FileSearch search = {})
      : child_({shapes_path(program)}), worker_(worker_options()), symbolizer(worker_) {
    auto opened = open_process(child_.pid(), std::move(search));
    REQUIRE(opened.ok());
    target = std::move(*opened);
    for (const auto& module : target->modules()) {
      if (module.path == shapes_path(program)) bias = module.bias;
    }
    REQUIRE(bias.has_value());
  }

  const SymbolizedAddress& at(Address pc, bool exact = true) {
    const SymbolQuery query{pc, exact};
    return *symbolizer.symbolize(*target, {&query, 1}).at(0);
  }
  Lookup lookup() {
    return [this](std::uint64_t offset) { return at(*bias + offset).frames; };
  }

 private:
  Child child_;
  Worker worker_;

 public:
  Symbolizer symbolizer;
  std::unique_ptr<Target> target;
  std::optional<std::uint64_t> bias;
};

}  // namespace

TEST_CASE("a running program's every function, line and inlined call") {
  for (const char* program : {"gcc_dwarf5", "gcc_dwarf4", "gcc_O0", "gcc_no_pie", "gcc_gz"}) {
    Running running(program);
    check_full(running.lookup(), program);
    CHECK(running.symbolizer.take_warnings().empty());
  }
#if HAVE_CLANG_SHAPES
  Running running("clang_dwarf5");
  check_full(running.lookup(), "clang_dwarf5");
#endif
}

TEST_CASE("a running program without debug information has its symbols, and nothing made up") {
  {
    Running running("gcc_g0");
    check_symbols(running.lookup(), "gcc_g0", false);
  }
  {
    Running running("gcc_dynsym");
    check_symbols(running.lookup(), "gcc_dynsym", true);
  }
  Running running("gcc_stripped");
  for (const auto& [id, addresses] : marks_of(shapes_path("gcc_stripped"))) {
    const auto& answer = running.at(*running.bias + addresses[0]);
    CHECK(is_unknown(answer.frames));
    CHECK(answer.frames.size() == 1);
    REQUIRE(answer.module);
    CHECK(answer.module->path == shapes_path("gcc_stripped"));
    CHECK(answer.offset == addresses[0]);
  }
}

TEST_CASE("separate debug files are found beside the program, by name or by alternate name") {
  for (const std::string program : {"gcc_separate", "gcc_no_build_id"}) {
    Running running(program);
    check_full(running.lookup(), program);
    CHECK(running.symbolizer.take_warnings().empty());
  }
#if HAVE_DWZ_SHAPES
  Running running("gcc_dwz");
  check_full(running.lookup(), "gcc_dwz");
  CHECK(running.symbolizer.take_warnings().empty());
#endif
}

TEST_CASE("separate debug files are found in build-id folders, with their dwz file") {
  const ScratchFolder scratch;
  const auto place = [&](const std::string& file) {
    const auto fd = open_file(shapes_path(file));
    const auto id = ElfFile::open(fd.get())->links().build_id;
    REQUIRE(id.size() == 40);
    const std::filesystem::path folder = scratch.path() + "/.build-id/" + id.substr(0, 2);
    std::filesystem::create_directories(folder);
    std::filesystem::copy_file(shapes_path(file), folder / (id.substr(2) + ".debug"));
  };
  place("gcc_unlinked.debug");
  Running running("gcc_unlinked", {.executable = {}, .directories = {scratch.path()}, .sysroot = {}});
  check_full(running.lookup(), "gcc_unlinked");
  CHECK(running.symbolizer.take_warnings().empty());

  Running without("gcc_unlinked");
  CHECK(is_unknown(without.lookup()(marks_of(shapes_path("gcc_unlinked"))[4].at(0))));
}

TEST_CASE("the line of a return address is that of the call before it") {
  Running running("gcc_O0");
  const auto mark = marks_of(shapes_path("gcc_O0"))[4].at(0);
  const auto& exact = running.at(*running.bias + mark, true);
  const auto& returned = running.at(*running.bias + mark + 1, false);
  CHECK(returned.offset == mark);
  CHECK(&returned == &exact);
}

TEST_CASE("answers are in the order of the questions, stay where they are, and are remembered") {
  Running running("gcc_dwarf5");
  std::vector<SymbolQuery> queries;
  for (const auto& [id, addresses] : marks_of(shapes_path("gcc_dwarf5"))) {
    for (int repeat = 0; repeat < 2; ++repeat) queries.push_back({*running.bias + addresses[0], true});
  }
  queries.push_back({0, true});
  queries.push_back({1, true});
  const auto first = running.symbolizer.symbolize(*running.target, queries);
  REQUIRE(first.size() == queries.size());
  for (std::size_t i = 0; i + 2 < queries.size(); ++i) {
    CHECK(first[i]->offset == queries[i].pc - *running.bias);
    CHECK(first[i] == first[i - i % 2]);
  }
  CHECK(first[first.size() - 1]->module == nullptr);
  CHECK(is_unknown(first[first.size() - 1]->frames));
  REQUIRE(running.target->refresh().ok());
  CHECK(running.symbolizer.symbolize(*running.target, queries) == first);
  CHECK(first[0]->module == running.target->module_at(queries[0].pc));
  CHECK(running.symbolizer.symbolize(*running.target, {}).empty());
}

TEST_CASE(
    "symbol tables are asked alone where they are enough, and debug information when it is wanted after "
    "all") {
  Running running("gcc_dwarf5");
  DebugDepth depth = DebugDepth::symbols;
  const Lookup lookup = [&](std::uint64_t offset) {
    const SymbolQuery query{*running.bias + offset, true, depth};
    return running.symbolizer.symbolize(*running.target, {&query, 1}).at(0)->frames;
  };
  check_symbols(lookup, "gcc_dwarf5", false);
  depth = DebugDepth::full;
  check_full(lookup, "gcc_dwarf5");
  depth = DebugDepth::symbols;
  check_full(lookup, "gcc_dwarf5");  // what is known is not forgotten
}

TEST_CASE("one call may ask of an address twice, whichever depth comes first") {
  for (const DebugDepth first : {DebugDepth::symbols, DebugDepth::full}) {
    Running running("gcc_dwarf5");
    const Address pc = *running.bias + marks_of(shapes_path("gcc_dwarf5"))[4].at(0);
    const DebugDepth second = first == DebugDepth::full ? DebugDepth::symbols : DebugDepth::full;
    const std::array queries{SymbolQuery{pc, true, first}, SymbolQuery{pc, true, second}};
    const auto answers = running.symbolizer.symbolize(*running.target, queries);
    CHECK(answers.at(0) == answers.at(1));
    CHECK(answers.at(0)->frames.back().line > 0);
  }
}

TEST_CASE("folded frames are told by symbol tables, in full once they are listed") {
  Running running("gcc_dwarf5");
  const std::string program = shapes_path("gcc_dwarf5");
  std::vector<Walk> walks(2);
  for (const auto& [id, addresses] : marks_of(program)) {
    walks[0].frames.push_back(
        {.pc = *running.bias + addresses[0], .sp = 0x1000, .cfa = 0x1010, .exact = true});
  }
  walks[1] = walks[0];
  const std::size_t physical = walks[0].frames.size();
  const Folded nothing = [](std::string_view) { return false; };
  const Folded the_program = [&program](std::string_view path) { return path == program; };
  const auto named = [&](const Folded& folded) {
    std::vector<Walk> copy = walks;
    return name_frames(*running.target, &running.symbolizer, copy, folded);
  };
  const auto same = [](const std::vector<Frame>& one, const std::vector<Frame>& other) {
    return std::ranges::equal(one, other, [](const Frame& a, const Frame& b) {
      return std::tuple(a.kind, a.pc, a.sp, a.cfa, a.module, a.offset, a.function, a.file, a.line,
                        a.inlined) ==
             std::tuple(b.kind, b.pc, b.sp, b.cfa, b.module, b.offset, b.function, b.file, b.line, b.inlined);
    });
  };
  const auto folded = named(the_program);
  REQUIRE(folded.at(0).size() == physical);
  for (const Frame& frame : folded[0]) CHECK((frame.file.empty() && !frame.inlined));

  std::vector<SnapshotGreenlet> greenlets(2);
  std::vector<SnapshotGreenlet*> pointers;
  for (std::size_t i = 0; i < greenlets.size(); ++i) {
    greenlets[i].frames = folded[i];
    Frame python;
    python.kind = Frame::Kind::python;
    greenlets[i].frames.insert(greenlets[i].frames.begin() + 1, python);
    pointers.push_back(&greenlets[i]);
  }
  name_what_is_left(*running.target, running.symbolizer, pointers, nothing);
  CHECK(greenlets[0].frames.size() == physical + 1);
  name_what_is_left(*running.target, running.symbolizer, pointers, the_program);
  const auto whole = named(nothing);
  CHECK(whole[0].size() > physical);  // calls were inlined
  for (SnapshotGreenlet& greenlet : greenlets) {
    const auto python = std::ranges::find(greenlet.frames, Frame::Kind::python, &Frame::kind);
    REQUIRE(python != greenlet.frames.end());
    greenlet.frames.erase(python);
    CHECK(same(greenlet.frames, whole[0]));
  }
  // By now debug information is known of these frames: once more changes nothing.
  pointers[0]->frames = named(the_program)[0];
  name_what_is_left(*running.target, running.symbolizer, pointers, the_program);
  CHECK(same(greenlets[0].frames, whole[0]));
}

TEST_CASE("the vdso is read from memory") {
  Running running("gcc_dwarf5");
  std::set<std::string> names;
  std::size_t modules = 0;
  for (const auto& module : running.target->modules()) {
    if (module.path != "[vdso]") continue;
    ++modules;
    std::vector<SymbolQuery> queries;
    for (Address pc = module.start; pc < module.end; pc += 16) queries.push_back({pc, true});
    for (const auto* answer : running.symbolizer.symbolize(*running.target, queries)) {
      names.insert(answer->frames[0].function);
    }
  }
  for (const auto& warning : running.symbolizer.take_warnings()) UNSCOPED_INFO(warning);
  REQUIRE(modules == 1);
  CHECK((names.contains("clock_gettime") || names.contains("__vdso_clock_gettime")));
}

TEST_CASE("an image put together from memory has its exported functions") {
  Running running("gcc_dynsym");
  const Module* module =
      running.target->module_at(*running.bias + marks_of(shapes_path("gcc_dynsym"))[4].at(0));
  REQUIRE(module);
  ImageTarget target;
  auto copy = *module;
  copy.identity = "from memory";
  target.add(copy, [&] { return image_from_memory(*module, running.target->memory()); });
  Worker worker(worker_options());
  Symbolizer symbolizer(worker);
  const Lookup lookup = [&](std::uint64_t offset) {
    const SymbolQuery query{module->bias + offset, true};
    return symbolizer.symbolize(target, {&query, 1}).at(0)->frames;
  };
  check_symbols(lookup, "gcc_dynsym", true);
}

TEST_CASE("system libraries have the names that programs call them by") {
  auto target = open_process(getpid());
  REQUIRE(target.ok());
  Worker worker(worker_options());
  Symbolizer symbolizer(worker);
  const std::vector<std::string> functions{"malloc", "qsort",  "fopen", "printf",  "getenv", "strtol",
                                           "puts",   "signal", "raise", "setvbuf", "abort",  "execve"};
  std::vector<SymbolQuery> queries;
  for (const auto& function : functions) {
    void* address = dlsym(RTLD_DEFAULT, function.c_str());
    REQUIRE(address);
    queries.push_back({reinterpret_cast<Address>(address), true});
  }
  const auto answers = symbolizer.symbolize(**target, queries);
  for (std::size_t i = 0; i < functions.size(); ++i)
    CHECK(answers[i]->frames.back().function == functions[i]);
}

TEST_CASE("without a worker addresses stay offsets, and it is said") {
  ImageTarget target;
  const auto bias = target.add("gcc_dwarf5", [] { return Result(open_file(shapes_path("gcc_dwarf5"))); });
  Worker worker({.program = "/nonexistent/coppice-worker", .silence_limit_ms = 1000});
  Symbolizer symbolizer(worker);
  const SymbolQuery query{bias + marks_of(shapes_path("gcc_dwarf5"))[1].at(0), true};
  const auto answers = symbolizer.symbolize(target, {&query, 1});
  CHECK(is_unknown(answers.at(0)->frames));
  CHECK(answers[0]->offset == query.pc - bias);
  CHECK(symbolizer.take_warnings().size() == 1);
  CHECK(symbolizer.take_warnings().empty());
}

TEST_CASE("a module whose file is gone is named by offset, and it is said once") {
  ImageTarget target;
  const auto bias = target.add(
      "lost", []() -> Result<UniqueFd> { return Error{ErrorCode::no_file, 0, "the file is not there"}; });
  Worker worker(worker_options());
  Symbolizer symbolizer(worker);
  const SymbolQuery query{bias + 0x1234, true};
  for (int i = 0; i < 2; ++i) {
    const auto answers = symbolizer.symbolize(target, {&query, 1});
    CHECK(is_unknown(answers.at(0)->frames));
    CHECK(answers[0]->offset == 0x1234);
  }
  const auto warnings = symbolizer.take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] == "/made-up/lost: no names: the file is not there");
}

TEST_CASE("names are made printable") {
  CHECK(printable("plain ASCII, caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\xb1") ==
        "plain ASCII, caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\xb1");
  CHECK(printable("\x1b[31m\n\x7f") == "\\x1b[31m\\x0a\\x7f");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");                             // C1: CSI
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");                             // no UTF-8; cut short
  CHECK(printable("\xc0\xaf\xed\xa0\x80") == "\\xc0\\xaf\\xed\\xa0\\x80");  // overlong; surrogate
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
}

}  // namespace coppice::inspect::test
