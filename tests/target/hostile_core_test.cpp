// Cores that are cut short, lie, or are none at all.
#include "tests/support/catch.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "inspect/memory/fakes.hpp"
#include "inspect/target/core_target.hpp"
#include "tests/target/tiny_core.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::test;

namespace {

constexpr Address kModule = 0x555500000000;
constexpr Address kStack = 0x7ffff0000000;

Result<std::unique_ptr<Target>> open_bytes(const Bytes& bytes) {
  auto file = std::make_unique<FakeMemory>();
  file->put(0, bytes);
  return CoreTarget::open(std::move(file), bytes.size(), "tiny", {}, [](const std::string&) {
    return Result<UniqueFd>(Error{ErrorCode::no_file, 0, "no files here"});
  });
}

bool warned(const Target& target, const std::string& part) {
  return std::ranges::any_of(target.warnings(),
                             [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

void exercise(const Target& target) {
  std::array<std::byte, 64> bytes;
  for (const Thread& thread : target.threads()) {
    REQUIRE(target.registers(thread.tid, Stopping::never).ok());
  }
  for (const Mapping& mapping : target.mappings()) {
    (void)target.memory().read_some(mapping.start, bytes);
    (void)target.memory().read_some(mapping.end - 1, bytes);
  }
  for (const Module& module : target.modules()) {
    CHECK(target.module_at(module.start) == &module);
    (void)target.open_image(module);
  }
}

}  // namespace

TEST_CASE("a core made by hand reads as it was made") {
  for (const bool with_files : {true, false}) {
    for (const bool extended : {true, false}) {
      TinyCore core = ordinary_tiny_core(with_files);
      core.extended_numbering = extended;
      auto target = open_bytes(core.build());
      REQUIRE(target.ok());
      REQUIRE((*target)->threads().size() == 2);
      CHECK((*target)->pid() == 100);
      CHECK((*target)->threads()[0].name == "tiny");
      CHECK((*target)->threads()[1].name.empty());
      CHECK((*target)->command_line() == "tiny --with arguments");
      CHECK((*target)->registers(101, Stopping::never)->registers.pc() == kModule + 4096 + 32);
      REQUIRE((*target)->modules().size() == 1);
      CHECK((*target)->modules()[0].start == kModule);
      CHECK((*target)->modules()[0].end == kModule + 8192);
      CHECK((*target)->modules()[0].build_id == "abababababababababababababababababababab");
      CHECK((*target)->modules()[0].path == (with_files ? "/nowhere/tiny" : ""));
      CHECK((*target)->modules()[0].deleted);
      CHECK(warned(**target, "no file for"));
      CHECK((*target)->open_image((*target)->modules()[0]).error().code == ErrorCode::no_file);
      // What is absent is unreadable, at the first absent byte.
      std::array<std::byte, 16> bytes;
      const auto absent = (*target)->memory().read(kModule + 4096 - 8, bytes);
      REQUIRE_FALSE(absent.ok());
      CHECK(absent.error().address == kModule + 4096);
      CHECK((*target)->memory().read(kStack, bytes).ok());
    }
  }
}

TEST_CASE("without NT_FILE the dynamic linker's list gives the names, even one that runs in a circle") {
  auto target = open_bytes(tiny_core_with_link_map().build());
  REQUIRE(target.ok());
  REQUIRE((*target)->modules().size() == 1);
  CHECK((*target)->modules()[0].path == "/nowhere/by-link-map");
  CHECK((*target)->executable() == "/nowhere/by-link-map");
  CHECK((*target)->modules()[0].build_id.size() == 40);
}

TEST_CASE("a core cut at any length shows what there is, or says that it is cut") {
  const Bytes whole = ordinary_tiny_core(true).build();
  std::size_t opened = 0;
  std::size_t refused = 0;
  for (std::size_t size = 0; size < whole.size(); size += size < 4000 ? 1 : 97) {
    auto target = open_bytes(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    INFO(size);
    if (!target.ok()) {
      ++refused;
      const ErrorCode code = target.error().code;
      CHECK((code == ErrorCode::truncated || (code == ErrorCode::not_a_core && size < SELFMAG)));
      continue;
    }
    ++opened;
    CHECK(warned(**target, "cut short"));
    exercise(**target);
    // Bytes that are there are right, and none is made up.
    std::vector<std::byte> stack(4096);
    const std::size_t got = (*target)->memory().read_some(kStack, stack);
    const std::size_t stack_at = whole.size() - 4096;
    CHECK(got == (size > stack_at ? size - stack_at : 0));
  }
  CHECK(opened > 100);
  CHECK(refused > 100);
}

TEST_CASE("what the core has lost is not taken from a file") {
  TinyCore core = ordinary_tiny_core(true);
  core.add_load(0x10000, Bytes(8192, std::byte{7}));
  Bytes bytes = core.build();
  bytes.resize(bytes.size() - 4096);
  auto target = open_bytes(bytes);
  REQUIRE(target.ok());
  CHECK(warned(**target, "cut short: it ends at offset 0x"));
  std::vector<std::byte> into(8192);
  CHECK((*target)->memory().read_some(0x10000, into) == 4096);
}

TEST_CASE("a thread's stack of nothing but zeros is missing, and said to be") {
  TinyCore core = ordinary_tiny_core(true);
  core.loads[2].bytes.assign(4096, std::byte{0});
  auto target = open_bytes(core.build());
  REQUIRE(target.ok());
  CHECK(warned(**target, "the stack of thread 100"));
  CHECK_FALSE((*target)->memory().read_value<int>(kStack + 256).ok());
  // Zeros elsewhere are just zeros.
  core = ordinary_tiny_core(true);
  core.add_load(0x10000, Bytes(4096, std::byte{0}));
  target = open_bytes(core.build());
  REQUIRE(target.ok());
  CHECK((*target)->memory().read_value<int>(0x10000).ok());
  CHECK_FALSE(warned(**target, "zeros"));
}

TEST_CASE("files that are no cores are refused with the reason") {
  const auto reason = [](const Bytes& bytes) {
    auto target = open_bytes(bytes);
    REQUIRE_FALSE(target.ok());
    CHECK(target.error().code == ErrorCode::not_a_core);
    return target.error().message;
  };
  TinyCore core = ordinary_tiny_core(true);
  CHECK(reason({}).find("empty") != std::string::npos);
  CHECK(reason(Bytes(1000, std::byte{'x'})).find("not an ELF file") != std::string::npos);
  core.type = ET_DYN;
  CHECK(reason(core.build()).find("program or library") != std::string::npos);
  core.type = ET_CORE;
  core.machine = EM_AARCH64;
  CHECK(reason(core.build()).find("another machine") != std::string::npos);
  CHECK(reason({std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f}, std::byte{0xfd}}).find("zstd") !=
        std::string::npos);
  Bytes other_class = ordinary_tiny_core(true).build();
  other_class[EI_CLASS] = std::byte{ELFCLASS32};
  CHECK(reason(other_class).find("64-bit") != std::string::npos);
}

TEST_CASE("segments that overlap, wrap around or promise the impossible") {
  TinyCore core = ordinary_tiny_core(true);
  core.add_load(kStack + 100, Bytes(4096, std::byte{9}));                          // over another one
  core.add_load(UINT64_MAX - 4095, Bytes(4096, std::byte{9}), UINT64_MAX);         // around 2^64
  core.add_load(kStack + 65536, Bytes(16, std::byte{9}), std::uint64_t{1} << 60);  // larger than life
  core.add_load(0x10000, Bytes(16, std::byte{9}), 4096);
  core.loads.back().header.p_offset = UINT64_MAX - 100;  // beyond any file
  core.add_load(0x18000, Bytes(64, std::byte{9}), 16);   // more in the file than in memory
  auto target = open_bytes(core.build());
  REQUIRE(target.ok());
  exercise(**target);
  CHECK((*target)->memory().read_value<std::uint8_t>(kStack + 200).value() == 0x5a);
  CHECK_FALSE((*target)->memory().read_value<std::uint8_t>(0x10000).ok());
  std::vector<std::byte> into(64);
  CHECK((*target)->memory().read_some(0x18000, into) == 16);
}

TEST_CASE("notes that lie about their sizes cost nothing and hurt nobody else") {
  TinyCore core = ordinary_tiny_core(true);
  Bytes files;
  append(files, std::uint64_t{1} << 60);  // so many entries
  append(files, std::uint64_t{4096});
  core.files.clear();
  core.add_note(NT_FILE, files);
  core.add_note(NT_PRSTATUS, Bytes(10));
  core.add_note(NT_PRPSINFO, Bytes(3));
  core.add_note(NT_AUXV, Bytes(7));
  auto target = open_bytes(core.build());
  REQUIRE(target.ok());
  CHECK(warned(**target, "list of mapped files promises"));
  CHECK((*target)->threads().size() == 2);

  core = ordinary_tiny_core(true);
  Bytes endless;
  append(endless, Elf64_Nhdr{0xffffffff, 0xffffffff, NT_PRSTATUS});
  core.notes.insert(core.notes.end(), endless.begin(), endless.end());
  target = open_bytes(core.build());
  REQUIRE(target.ok());
  CHECK((*target)->threads().size() == 2);
  CHECK(warned(**target, "notes end at offset"));
}

TEST_CASE("every single read of a core may fail") {
  for (const TinyCore& core : {ordinary_tiny_core(true), tiny_core_with_link_map()}) {
    const Bytes bytes = core.build();
    FakeMemory file;
    file.put(0, bytes);
    const auto open_failing = [&](std::uint64_t nth, bool after, std::uint64_t* reads) {
      auto failing = std::make_unique<FailNth>(file, nth, after);
      const FailNth* counter = failing.get();
      auto target = CoreTarget::open(std::move(failing), bytes.size(), "tiny", {}, [](const std::string&) {
        return Result<UniqueFd>(Error{ErrorCode::no_file, 0, "no files here"});
      });
      if (target.ok()) {
        for (const Module& module : (*target)->modules()) (void)(*target)->open_image(module);
        if (reads != nullptr) *reads = counter->reads();
      }
    };
    std::uint64_t reads = 0;
    open_failing(FailNth::kNever, false, &reads);
    REQUIRE(reads > 10);
    for (std::uint64_t nth = 0; nth <= reads; ++nth) {
      open_failing(nth, false, nullptr);
      open_failing(nth, true, nullptr);
    }
  }
}
