// Files that lie, crash the reader, or keep it busy for ever: the client lives, ends, and says so.
#include <unistd.h>

#include <iostream>
#include <random>

#include "inspect/base/printable.hpp"
#include "inspect/symbols/symbolizer.hpp"
#include "inspect/worker/debug_info/elf_file.hpp"
#include "inspect/worker/worker.hpp"
#include "tests/support/catch.hpp"
#include "tests/symbols/image_target.hpp"
#include "tests/symbols/shapes_checks.hpp"
#include "tests/symbols/shapes_file.hpp"

namespace coppice::inspect::test {
namespace {

Worker::Options worker_options() {
  return {.program = COPPICE_WORKER_PROGRAM, .silence_limit_ms = 20'000};
}

Lookup lookup(Symbolizer& symbolizer, const ImageTarget& target, std::uint64_t bias) {
  return [&symbolizer, &target, bias](std::uint64_t offset) {
    const SymbolQuery query{bias + offset, true};
    return symbolizer.symbolize(target, {&query, 1}).at(0)->frames;
  };
}

/// The part of a file that damage is done to.
struct Part {
  std::string name;
  std::size_t offset = 0;
  std::size_t size = 0;
};

/// Everything that is read to name an address: sections, and the headers that lead to them.
std::vector<Part> parts_of(const std::string& path) {
  const auto fd = open_file(path);
  auto file = ElfFile::open(fd.get());
  REQUIRE(file.ok());
  GElf_Ehdr elf;
  REQUIRE(gelf_getehdr(file->elf(), &elf));
  std::vector<Part> parts{{"ELF header", 16, sizeof(Elf64_Ehdr) - 16},
                          {"program headers", elf.e_phoff, std::size_t{elf.e_phnum} * elf.e_phentsize},
                          {"section headers", elf.e_shoff, std::size_t{elf.e_shnum} * elf.e_shentsize}};
  std::size_t names = 0;
  REQUIRE(elf_getshdrstrndx(file->elf(), &names) == 0);
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(file->elf(), section)) != nullptr;) {
    GElf_Shdr header;
    REQUIRE(gelf_getshdr(section, &header));
    const std::string name = elf_strptr(file->elf(), names, header.sh_name);
    const bool read = name.starts_with(".debug_") || name == ".symtab" || name == ".strtab" ||
                      name == ".dynsym" || name == ".dynstr" || name == ".dynamic" || name == ".gnu.hash" ||
                      name == ".note.gnu.build-id";
    if (read) parts.push_back({name, header.sh_offset, header.sh_size});
  }
  return parts;
}

std::string damaged(std::string bytes, const Part& part, std::mt19937& random) {
  const std::size_t flips = std::size_t{1} << random() % 9;
  for (std::size_t i = 0; i < flips; ++i) {
    bytes[part.offset + random() % part.size] ^= static_cast<char>(1U << random() % 8);
  }
  return bytes;
}

}  // namespace

TEST_CASE("damaged files: every address is answered, in printable text, and the next module is fine") {
  constexpr unsigned seeds = 250, first_seed = 20261123;
  std::size_t answered = 0, changed = 0, warned = 0;
  std::uint64_t restarts = 0;
  for (const std::string program : {"gcc_dwarf5", "gcc_dwarf4", "gcc_gz", "gcc_dynsym"}) {
    Worker worker(worker_options());
    const auto whole = bytes_of(shapes_path(program));
    const auto parts = parts_of(shapes_path(program));
    ImageTarget target;
    const auto sound = target.add(program, [&] { return Result(open_file(shapes_path(program))); });
    std::vector<std::uint64_t> offsets;
    for (const auto& [id, addresses] : marks_of(shapes_path(program))) {
      offsets.insert(offsets.end(), addresses.begin(), addresses.end());
    }
    Symbolizer reference(worker);
    const auto right = lookup(reference, target, sound);
    for (unsigned seed = first_seed; seed < first_seed + seeds; ++seed) {
      std::mt19937 random(seed);
      const Part& part = parts[seed % parts.size()];
      INFO("seed " << seed << ", " << program << ' ' << part.name);
      const auto bytes = damaged(whole, part, random);
      const auto bias = target.add(program + std::to_string(seed), [&] { return Result(file_of(bytes)); });
      std::vector<SymbolQuery> queries;
      for (const auto offset : offsets) queries.push_back({bias + offset, true});
      for (int i = 0; i < 30; ++i) queries.push_back({bias + random() % whole.size(), true});
      Symbolizer symbolizer(worker, {.address_cpu_ms = 200});
      const auto answers = symbolizer.symbolize(target, queries);
      REQUIRE(answers.size() == queries.size());
      for (const auto* answer : answers) {
        REQUIRE(answer);
        REQUIRE_FALSE(answer->frames.empty());
        ++answered;
        for (const auto& frame : answer->frames) {
          REQUIRE(frame.function.size() <= 70'000);
          REQUIRE(frame.function == printable(frame.function));
          REQUIRE(frame.file == printable(frame.file));
        }
      }
      for (std::size_t i = 0; i < offsets.size(); ++i) changed += answers[i]->frames != right(offsets[i]);
      warned += symbolizer.take_warnings().size();
    }
    restarts += worker.restarts();
    CHECK(reference.take_warnings().empty());
    if (program != "gcc_dynsym") check_full(right, program);
  }
  std::cout << "damaged files: " << 4 * seeds << ", addresses " << answered << ", marks named otherwise "
            << changed << ", warnings " << warned << ", worker restarts " << restarts << '\n';
  CHECK(changed > 0);
  CHECK(warned > 0);
}

TEST_CASE("a file that is cut short while it is read kills the worker, not the client") {
  const auto bytes = bytes_of(shapes_path("gcc_dwarf5"));
  const auto marks = marks_of(shapes_path("gcc_dwarf5"));
  const auto file = file_of(bytes);
  ImageTarget target;
  const auto bias = target.add("cut short", [&] { return Result(UniqueFd(dup(file.get()))); });
  const auto whole = target.add("whole", [] { return Result(open_file(shapes_path("gcc_dwarf5"))); });
  Worker worker(worker_options());
  Symbolizer symbolizer(worker);
  const auto ask = lookup(symbolizer, target, bias);
  CHECK(ask(marks.at(1)[0]).size() == 3);
  REQUIRE(ftruncate(file.get(), 0) == 0);
  CHECK(is_unknown(ask(marks.at(9)[0])));
  CHECK(ask(marks.at(1)[0]).size() == 3);  // remembered
  CHECK(worker.restarts() > 0);
  CHECK_FALSE(symbolizer.take_warnings().empty());
  check_full(lookup(symbolizer, target, whole), "gcc_dwarf5");
}

TEST_CASE("debug information that takes for ever is given up, and symbols remain") {
  // A section that claims to hold, once decompressed, more than can be decompressed in the time allowed.
  const auto marks = marks_of(shapes_path("gcc_bomb"));
  ImageTarget target;
  const auto bias = target.add("bomb", [] { return Result(open_file(shapes_path("gcc_bomb"))); });
  Worker worker(worker_options());
  Symbolizer symbolizer(worker, {.address_cpu_ms = 20});
  const auto ask = lookup(symbolizer, target, bias);
  check_symbols(ask, "gcc_bomb", false);
  const auto warnings = symbolizer.take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Catch::Matchers::Contains("took too long"));
  CHECK(worker.restarts() == 1);
}

TEST_CASE("names cannot talk to the terminal") {
  auto bytes = bytes_of(shapes_path("gcc_dwarf5"));
  const std::string name = "c_function", hostile = "c_\x1b[31m\xff\x07\n";
  std::size_t replaced = 0;
  for (auto at = bytes.find(name); at != std::string::npos; at = bytes.find(name, at + 1), ++replaced) {
    bytes.replace(at, name.size(), hostile);
  }
  REQUIRE(replaced >= 2);  // .debug_str and .strtab
  ImageTarget target;
  const auto bias = target.add("hostile names", [&] { return Result(file_of(bytes)); });
  Worker worker(worker_options());
  Symbolizer symbolizer(worker);
  const auto frames = lookup(symbolizer, target, bias)(marks_of(shapes_path("gcc_dwarf5")).at(4)[0]);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].function == "c_\\x1b[31m\\xff\\x07\\x0a");
  CHECK(frames[0].line == 401);
}

}  // namespace coppice::inspect::test
