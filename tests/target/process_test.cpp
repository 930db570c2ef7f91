// A live process: memory, map, modules, threads.
#include "tests/support/catch.hpp"

#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "inspect/target/image.hpp"
#include "inspect/target/target.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::test;

namespace {

std::string text_at(const Memory& memory, Address address) {
  auto text = memory.read_string(address, 200);
  return text.ok() ? *text : std::string("<unreadable>");
}

std::unique_ptr<Target> open_child(const Child& child) {
  auto target = open_process(child.pid());
  INFO((target.ok() ? "" : target.error().message));
  REQUIRE(target.ok());
  return std::move(*target);
}

}  // namespace

TEST_CASE("bytes of every kind of mapping come out right, in one batch") {
  for (const char* program : {SUBJECT, SUBJECT_STATIC, SUBJECT_NO_PIE}) {
    INFO(program);
    const Child child({program});
    REQUIRE(child.has("heap"));
    const auto target = open_child(child);
    CHECK(target->kind() == Target::Kind::live);
    CHECK(target->pid() == child.pid());
    CHECK(target->executable() == std::string(program));
    CHECK(target->command_line() == std::string(program));
    const Memory& memory = target->memory();
    CHECK(text_at(memory, child.at("rodata")) == "in .rodata: the quick brown fox");
    CHECK(text_at(memory, child.at("data")) == "in .data: jumps over");
    CHECK(text_at(memory, child.at("bss") + 5000) == "in .bss: the lazy dog");
    CHECK(memory.read_value<int>(child.at("local")).value() == 42);

    // More pieces than one system call takes, unsorted, some of them holes.
    std::vector<std::byte> bytes(3000 * 16);
    std::vector<ReadRequest> requests;
    for (std::size_t i = 0; i < 3000; ++i) {
      const bool hole = i % 100 == 99;
      const Address at = hole ? 0x1000 + i * 8 : child.at("heap") + (i * 977) % 99'000;
      requests.push_back({at, std::span(bytes).subspan(i * 16, 16), 0});
    }
    memory.read_batch(requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const bool hole = i % 100 == 99;
      REQUIRE(requests[i].got == (hole ? 0 : 16));
      for (std::size_t k = 0; k < requests[i].got; ++k) {
        const std::uint64_t index = requests[i].address - child.at("heap") + k;
        REQUIRE(requests[i].into[k] == static_cast<std::byte>(index * 7));
      }
    }
  }
}

TEST_CASE("a read stops exactly at a guard page inside a mapping, and goes on behind it") {
  const Child child({SUBJECT, "guard"});
  REQUIRE(child.has("guarded"));
  if (child.at("guard_works") == 0) {
    WARN("this kernel has no MADV_GUARD_INSTALL: skipped");
    return;
  }
  const auto target = open_child(child);
  const Address area = child.at("guarded");
  std::vector<std::byte> bytes(3 * 4096);
  CHECK(target->memory().read_some(area + 100, bytes) == 4096 - 100);
  CHECK(target->memory().read_some(area + 4096, std::span(bytes).first(1)) == 0);
  CHECK(target->memory().read_some(area + 8192, std::span(bytes).first(4096)) == 4096);
  CHECK(bytes[0] == std::byte{'g'});
}

TEST_CASE("modules have the addresses and build-ids that readelf and the program itself know") {
  for (const char* program : {SUBJECT, SUBJECT_STATIC, SUBJECT_NO_PIE, SUBJECT_STRIPPED}) {
    INFO(program);
    const Child child({program});
    const auto target = open_child(child);
    const Module* main = target->module_at(child.at("main"));
    REQUIRE(main != nullptr);
    CHECK(main->path == std::string(program));
    CHECK_FALSE(main->deleted);
    CHECK(target->module_at(child.at("bss") + 8191) == main);

    const Output notes = run(std::string("readelf -n ") + program + " | sed -n 's/.*Build ID: //p'");
    REQUIRE(notes.text.size() > 10);
    CHECK(main->build_id + "\n" == notes.text);
    const Output symbol = run(std::string("nm ") + SUBJECT + " | awk '$3 == \"main\" {print $1}'");
    if (program == std::string(SUBJECT))
      CHECK(child.at("main") - main->bias == std::stoull(symbol.text, nullptr, 16));
    if (program == std::string(SUBJECT_NO_PIE)) CHECK(main->bias == 0);

    const Module* libc = target->module_at(child.at("libc"));
    REQUIRE(libc != nullptr);
    CHECK((libc == main) == (program == std::string(SUBJECT_STATIC)));
    const auto vdso = std::ranges::find(target->modules(), "[vdso]", &Module::path);
    REQUIRE(vdso != target->modules().end());
    CHECK_FALSE(vdso->build_id.empty());
    CHECK(std::ranges::is_sorted(target->modules(), {}, &Module::start));
  }
}

TEST_CASE("the modules of this very process are those of dl_iterate_phdr") {
  // A copy of ourselves, as the child may be inspected in peace.
  const pid_t copy = fork();
  if (copy == 0) {
    pause();
    _exit(0);
  }
  auto target = open_process(copy);
  REQUIRE(target.ok());
  struct Known {
    std::vector<std::uint64_t> biases;
  } known;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        static_cast<Known*>(data)->biases.push_back(info->dlpi_addr);
        return 0;
      },
      &known);
  std::vector<std::uint64_t> found;
  for (const Module& module : (*target)->modules()) found.push_back(module.bias);
  std::ranges::sort(known.biases);
  std::ranges::sort(found);
  CHECK(known.biases.size() > 3);
  CHECK(found == known.biases);
  kill(copy, SIGKILL);
  waitpid(copy, nullptr, 0);
}

TEST_CASE("a library that is only read through mmap is no module") {
  const int file = open(SUBJECT_STRIPPED, O_RDONLY);
  REQUIRE(file >= 0);
  void* view = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  const pid_t copy = fork();
  if (copy == 0) {
    pause();
    _exit(0);
  }
  auto target = open_process(copy);
  REQUIRE(target.ok());
  CHECK((*target)->module_at(reinterpret_cast<Address>(view)) == nullptr);
  kill(copy, SIGKILL);
  waitpid(copy, nullptr, 0);
  munmap(view, 4096);
  close(file);
}

TEST_CASE("open_image gives the mapped file, and an identity") {
  const Child child({SUBJECT});
  const auto target = open_child(child);
  for (const Module& module : target->modules()) {
    INFO(module.path);
    auto image = target->open_image(module);
    REQUIRE(image.ok());
    CHECK(file_build_id(image->get()) == module.build_id);
    CHECK_FALSE(module.identity.empty());
  }
  const Module* main = target->module_at(child.at("main"));
  const std::string identity = main->identity;
  REQUIRE(target->refresh().ok());
  CHECK(target->module_at(child.at("main"))->identity == identity);
}

TEST_CASE("refresh finds a library that was loaded meanwhile") {
  Child child({SUBJECT});
  const auto target = open_child(child);
  const std::size_t before = target->modules().size();
  child.tell("load");
  REQUIRE(child.at("library") != 0);  // l_addr, the first word of a link_map
  CHECK(target->module_at(child.at("library")) == nullptr);
  REQUIRE(target->refresh().ok());
  CHECK(target->modules().size() == before + 1);
  const Module* library = target->module_at(child.at("library"));
  REQUIRE(library != nullptr);
  CHECK(library->bias == child.at("library"));
  CHECK(library->path.find("libBrokenLocale") != std::string::npos);
}

TEST_CASE("threads have their names and numbers") {
  const Child child({SUBJECT, "sleepers"});
  for (int i = 0; i < 3; ++i) child.wait_until_asleep(child.at("sleeper-" + std::to_string(i) + "-tid"));
  const auto target = open_child(child);
  REQUIRE(target->threads().size() == 4);
  for (const Thread& thread : target->threads()) {
    if (thread.tid == child.pid()) continue;
    REQUIRE(child.has(thread.name + "-tid"));
    CHECK(child.at(thread.name + "-tid") == static_cast<std::uint64_t>(thread.tid));
    CHECK(thread.nstid == thread.tid);
    CHECK_FALSE(thread.on_cpu);
  }
}

TEST_CASE("a process whose first thread has left is inspected all the same") {
  const Child child({SUBJECT, "sleepers", "leave-main"});
  const auto target = open_child(child);
  CHECK(target->threads().size() == 3);
  CHECK(target->executable() == SUBJECT);
  CHECK(text_at(target->memory(), child.at("data")) == "in .data: jumps over");
  CHECK(target->module_at(child.at("main")) != nullptr);
}

TEST_CASE("a target that dies gives no bytes any more, and refresh says gone") {
  Child child({SUBJECT});
  const Address data = child.at("data");
  const auto target = open_child(child);
  REQUIRE(target->refresh().ok());
  child.end_by(SIGKILL);
  CHECK_FALSE(target->memory().read_value<int>(data).ok());
  const auto again = target->refresh();
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code == ErrorCode::gone);
  CHECK(target->registers(target->threads()[0].tid, Stopping::allowed).error().code == ErrorCode::gone);
}

TEST_CASE("errors name their cause") {
  const auto missing = open_process(999'999'999);
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == ErrorCode::no_such_process);
  CHECK(open_process(0).error().code == ErrorCode::no_such_process);
  CHECK(open_process(-1).error().code == ErrorCode::no_such_process);

  const pid_t zombie = fork();
  if (zombie == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT);
  CHECK(open_process(zombie).error().code == ErrorCode::no_such_process);
  waitpid(zombie, nullptr, 0);
  if (getuid() == 0 && access("/proc/2/exe", F_OK) != 0) {
    CHECK(open_process(2).error().message.find("kernel thread") != std::string::npos);
  }
}
