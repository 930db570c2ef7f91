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
