// Cores: the kernel's and gcore's, whole, cut, stripped of notes, and of programs that have changed since.
#include "tests/support/catch.hpp"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "inspect/target/image.hpp"
#include "inspect/target/target.hpp"
#include "tests/target/child.hpp"
#include "tests/target/core_maker.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::test;

namespace {

std::unique_ptr<Target> open_whole(const std::string& path, FileSearch search = {}) {
  auto target = open_core(path, std::move(search));
  INFO((target.ok() ? "" : target.error().message));
  REQUIRE(target.ok());
  return std::move(*target);
}

std::string text_at(const Memory& memory, Address address) {
  auto text = memory.read_string(address, 200);
  return text.ok() ? *text : std::string("<unreadable>");
}

bool any_contains(std::span<const std::string> lines, const std::string& part) {
  return std::ranges::any_of(lines,
                             [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

std::string all(std::span<const std::string> lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

/// Everything that must be right whoever wrote the core.
void check_contents(const Target& target, const std::map<std::string, std::uint64_t>& report,
                    const char* program) {
  INFO(all(target.warnings()));
  CHECK(target.kind() == Target::Kind::core);
  CHECK(target.pid() == static_cast<pid_t>(report.at("pid")));
  CHECK(target.executable() == program);
  CHECK(target.command_line().starts_with(std::string(program).substr(0, 79)));
  const Memory& memory = target.memory();
  CHECK(text_at(memory, report.at("rodata")) == "in .rodata: the quick brown fox");
  CHECK(text_at(memory, report.at("data")) == "in .data: jumps over");
  CHECK(text_at(memory, report.at("bss") + 5000) == "in .bss: the lazy dog");
  CHECK(memory.read_value<int>(report.at("local")).value() == 42);
  std::vector<std::byte> heap(100'000);
  REQUIRE(memory.read(report.at("heap"), heap).ok());
  for (std::size_t i = 0; i < heap.size(); ++i) REQUIRE(heap[i] == static_cast<std::byte>(i * 7));

  REQUIRE(target.threads().size() == 4);
  for (const Thread& thread : target.threads()) {
    auto registers = target.registers(thread.tid, Stopping::never);
    REQUIRE(registers.ok());
    CHECK(registers->complete);
    CHECK(memory.read_value<std::uint64_t>(registers->registers.sp()).ok());
    CHECK(target.module_at(registers->registers.pc()) != nullptr);
  }
  for (const char* name : {"sleeper-0", "sleeper-1", "sleeper-2"}) {
    const auto tid = static_cast<pid_t>(report.at(std::string(name) + "-tid"));
    auto registers = target.registers(tid, Stopping::never);
    REQUIRE(registers.ok());
    CHECK(report.at(std::string(name) + "-stack") - registers->registers.sp() < 65536);
  }
  CHECK(target.registers(1, Stopping::never).error().code == ErrorCode::bad_argument);

  const Module* main = target.module_at(report.at("main"));
  REQUIRE(main != nullptr);
  CHECK(main->path == program);
  CHECK_FALSE(main->deleted);
  for (const Module& module : target.modules()) {
    INFO(module.path);
    auto image = target.open_image(module);
    REQUIRE(image.ok());
    CHECK(file_build_id(image->get()) == module.build_id);
    CHECK_FALSE(module.identity.empty());
  }
}

/// `eu-unstrip -n --core`: libdwfl's own list of modules, as start address to build-id.
std::map<std::uint64_t, std::string> modules_by_dwfl(const std::string& core) {
  std::map<std::uint64_t, std::string> modules;
  std::istringstream lines(run("eu-unstrip -n --core=" + core + " 2>/dev/null").text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t blank = line.find(' ');
    const std::string rest = line.substr(blank + 1);
    modules[std::stoull(line, nullptr, 16)] = rest.substr(0, rest.find_first_of("@ "));
  }
  return modules;
}

}  // namespace

TEST_CASE("kernel cores of PIE, non-PIE, static and stripped programs") {
  if (!kernel_writes_cores()) {
    WARN("core_pattern leads elsewhere: kernel cores are not tested here");
    return;
  }
  for (const char* program : {SUBJECT, SUBJECT_STRIPPED, SUBJECT_NO_PIE, SUBJECT_STATIC}) {
    INFO(program);
    const CoreFile core = kernel_core({program, "sleepers"});
    REQUIRE(core.exists());
    const auto target = open_whole(core.path());
    check_contents(*target, core.report(), program);
    const auto known = modules_by_dwfl(core.path());
    CHECK(known.size() >= target->modules().size());
    for (const Module& module : target->modules()) {
      INFO(module.path);
      REQUIRE(known.contains(module.start));
      CHECK(known.at(module.start) == module.build_id);
    }
  }
}

TEST_CASE("gcore's cores") {
  for (const char* program : {SUBJECT, SUBJECT_NO_PIE, SUBJECT_STATIC}) {
    INFO(program);
    const CoreFile core = gcore_core({program, "sleepers"});
    REQUIRE(core.exists());
    const auto target = open_whole(core.path());
    INFO(all(target->warnings()));
    if (any_contains(target->warnings(), "is missing: the core has only zeros")) {
      WARN("this gcore could not read thread stacks; checked is that they are said to be missing");
      const auto tid = static_cast<pid_t>(core.report().at("sleeper-0-tid"));
      auto registers = target->registers(tid, Stopping::never);
      REQUIRE(registers.ok());
      CHECK_FALSE(target->memory().read_value<std::uint64_t>(registers->registers.sp()).ok());
      CHECK(text_at(target->memory(), core.report().at("rodata")) == "in .rodata: the quick brown fox");
      CHECK(text_at(target->memory(), core.report().at("data")) == "in .data: jumps over");
      continue;
    }
    check_contents(*target, core.report(), program);
  }
}

TEST_CASE("a program that has changed since is refused by its build-id, and the right one found elsewhere") {
  if (!kernel_writes_cores()) return;
  const ScratchFolder programs;
  const std::string program = programs.path() + "/program";
  std::filesystem::copy_file(SUBJECT, program);
  const CoreFile core = kernel_core({program, "sleepers"});
  REQUIRE(core.exists());
  const Address rodata = core.report().at("rodata");
  {
    const auto target = open_whole(core.path());
    CHECK(text_at(target->memory(), rodata) == "in .rodata: the quick brown fox");
  }
  // Another program under its name: nothing of it is shown.
  std::filesystem::remove(program);
  std::filesystem::copy_file(SUBJECT_NO_PIE, program);
  {
    const auto target = open_whole(core.path());
    CHECK(any_contains(target->warnings(), "wrong_executable: " + program));
    const Module* main = target->module_at(core.report().at("main"));
    REQUIRE(main != nullptr);
    CHECK(main->deleted);
    CHECK(target->open_image(*main).error().code == ErrorCode::wrong_executable);
    CHECK_FALSE(target->memory().read_value<int>(core.report().at("main")).ok());
    // What the core has is there all the same.
    CHECK(text_at(target->memory(), core.report().at("data")) == "in .data: jumps over");
    CHECK(target->threads().size() == 4);
  }
  // --exe with the right one, and with a wrong one.
  {
    const auto target = open_whole(core.path(), {SUBJECT, {}, {}});
    CHECK(text_at(target->memory(), rodata) == "in .rodata: the quick brown fox");
    CHECK_FALSE(any_contains(target->warnings(), "wrong_executable"));
    CHECK(target->open_image(*target->module_at(core.report().at("main"))).ok());
  }
  {
    const auto target = open_whole(core.path(), {SUBJECT_STATIC, {}, {}});
    CHECK(any_contains(target->warnings(), std::string("wrong_executable: ") + SUBJECT_STATIC));
    CHECK_FALSE(target->memory().read_value<int>(core.report().at("main")).ok());
  }
  std::filesystem::remove(program);
  {
    const auto target = open_whole(core.path());
    CHECK(any_contains(target->warnings(), "no file for " + program));
  }
  // By base name, by build-id and below a sysroot.
  const ScratchFolder search;
  std::filesystem::copy_file(SUBJECT, search.path() + "/program");
  CHECK(text_at(open_whole(core.path(), {{}, {search.path()}, {}})->memory(), rodata)
            .starts_with("in .rodata"));
  const std::string id = open_whole(core.path())->module_at(core.report().at("main"))->build_id;
  const std::string by_id = search.path() + "/.build-id/" + id.substr(0, 2);
  std::filesystem::create_directories(by_id);
  std::filesystem::rename(search.path() + "/program", by_id + "/" + id.substr(2));
  CHECK(text_at(open_whole(core.path(), {{}, {search.path()}, {}})->memory(), rodata)
            .starts_with("in .rodata"));
  const std::string below = search.path() + "/root" + programs.path();
  std::filesystem::create_directories(below);
  std::filesystem::copy_file(SUBJECT, below + "/program");
  const auto rooted = open_whole(core.path(), {{}, {}, search.path() + "/root"});
  CHECK(text_at(rooted->memory(), rodata).starts_with("in .rodata"));
}

TEST_CASE("a core without NT_FILE is read by the dynamic linker's list") {
  if (!kernel_writes_cores()) return;
  for (const char* program : {SUBJECT, SUBJECT_STATIC}) {
    const CoreFile core = kernel_core({program, "sleepers"});
    REQUIRE(core.exists());
    std::vector<std::byte> bytes = bytes_of(core.path());
    // Its type becomes one that nobody knows.
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    bool renamed = false;
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      Elf64_Phdr segment;
      std::memcpy(&segment, bytes.data() + header.e_phoff + i * sizeof segment, sizeof segment);
      if (segment.p_type != PT_NOTE) continue;
      for (std::uint64_t at = segment.p_offset; at + 12 < segment.p_offset + segment.p_filesz;) {
        Elf64_Nhdr note;
        std::memcpy(&note, bytes.data() + at, sizeof note);
        if (note.n_type == NT_FILE) {
          note.n_type = 0x7e57;
          std::memcpy(bytes.data() + at, &note, sizeof note);
          renamed = true;
        }
        at += sizeof note + (note.n_namesz + 3) / 4 * 4 + (note.n_descsz + 3) / 4 * 4;
      }
    }
    REQUIRE(renamed);
    write_bytes(core.path(), bytes);
    const auto target = open_whole(core.path());
    check_contents(*target, core.report(), program);
    const bool has_libc = std::ranges::any_of(
        target->modules(), [](const Module& m) { return m.path.find("libc.so") != std::string::npos; });
    CHECK(has_libc == (program != std::string(SUBJECT_STATIC)));
  }
}

TEST_CASE("cores with other filters: without first pages, and with everything") {
  if (!kernel_writes_cores()) return;
  struct Filter {
    const char* value;
    bool heads;
  };
  for (const Filter filter : {Filter{"0x23", false}, Filter{"0x7f", true}}) {
    INFO(filter.value);
    const CoreFile core = kernel_core({"/bin/sh", "-c",
                                       std::string("echo ") + filter.value +
                                           " > /proc/self/coredump_filter; exec " + SUBJECT + " sleepers"});
    REQUIRE(core.exists());
    const auto target = open_whole(core.path());
    check_contents(*target, core.report(), SUBJECT);
    CHECK(any_contains(target->warnings(), "without proof") == !filter.heads);
  }
}

TEST_CASE("a core that holds everything needs no files") {
  if (!kernel_writes_cores()) return;
  const ScratchFolder programs;
  const std::string program = programs.path() + "/program";
  std::filesystem::copy_file(SUBJECT, program);
  const CoreFile core =
      kernel_core({"/bin/sh", "-c", "echo 0x7f > /proc/self/coredump_filter; exec " + program});
  REQUIRE(core.exists());
  std::filesystem::remove(program);
  const auto target = open_whole(core.path());
  CHECK(text_at(target->memory(), core.report().at("rodata")) == "in .rodata: the quick brown fox");
  const Module* main = target->module_at(core.report().at("main"));
  REQUIRE(main != nullptr);
  CHECK(main->deleted);
  auto image = target->open_image(*main);
  REQUIRE(image.ok());
  CHECK(file_build_id(image->get()) == main->build_id);
}

TEST_CASE("a kernel core cut at many lengths is shown as far as it goes") {
  if (!kernel_writes_cores()) return;
  const CoreFile core = kernel_core({SUBJECT, "sleepers"});
  REQUIRE(core.exists());
  const std::uint64_t whole = std::filesystem::file_size(core.path());
  std::size_t opened = 0;
  for (int part = 99; part > 0; part -= 7) {
    std::filesystem::resize_file(core.path(), whole * static_cast<unsigned>(part) / 100);
    INFO(part);
    auto target = open_core(core.path());
    REQUIRE(target.ok());
    ++opened;
    CHECK(any_contains((*target)->warnings(), "cut short"));
    CHECK((*target)->threads().size() == 4);
    // Every byte is right or unreadable.
    const auto data = (*target)->memory().read_string(core.report().at("data"), 64);
    CHECK((!data.ok() || *data == "in .data: jumps over"));
    const auto local = (*target)->memory().read_value<int>(core.report().at("local"));
    CHECK((!local.ok() || *local == 42));
  }
  CHECK(opened > 10);
  std::filesystem::resize_file(core.path(), 1000);
  CHECK(open_core(core.path()).error().code == ErrorCode::truncated);
}

TEST_CASE("a core file that shrinks while it is open gives short reads") {
  if (!kernel_writes_cores()) return;
  const CoreFile core = kernel_core({SUBJECT, "sleepers"});
  const auto target = open_whole(core.path());
  std::filesystem::resize_file(core.path(), 0);
  std::vector<std::byte> bytes(1 << 20);
  CHECK_FALSE(target->memory().read(core.report().at("heap") & ~0xfffU, bytes).ok());
}

TEST_CASE("files that are not there or no files at all") {
  CHECK(open_core("/nonexistent/core").error().code == ErrorCode::no_file);
  CHECK(open_core("/dev/null").error().code == ErrorCode::no_file);
  CHECK(open_core("/tmp").error().code == ErrorCode::no_file);
  CHECK(open_core(SUBJECT).error().code == ErrorCode::not_a_core);
}
