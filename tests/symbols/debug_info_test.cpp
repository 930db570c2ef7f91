// DebugInfo on programs whose every name and line is known: the shapes, compiled in many ways.
#include "inspect/worker/debug_info/debug_info.hpp"

#include <cstring>

#include "tests/support/catch.hpp"
#include "tests/symbols/image_target.hpp"
#include "tests/symbols/shapes_checks.hpp"
#include "tests/symbols/shapes_file.hpp"

namespace coppice::inspect::test {
namespace {

/// DebugInfo of shapes programs with the descriptors it borrows.
class Shapes {
 public:
  explicit Shapes(const std::string& image, DebugDepth depth = DebugDepth::full)
      : Shapes(image, "", "", depth) {}
  Shapes(const std::string& image, const std::string& debug, const std::string& alternate,
         DebugDepth depth = DebugDepth::full)
      : image_(open(image)), debug_(open(debug)), alternate_(open(alternate)) {
    auto info = DebugInfo::open(
        {.image = image_.get(), .debug = debug_.get(), .alternate = alternate_.get(), .bias = 0}, depth);
    REQUIRE(info.ok());
    info_ = std::move(*info);
  }
  DebugInfo* operator->() const { return info_.get(); }

 private:
  static UniqueFd open(const std::string& name) {
    return name.empty() ? UniqueFd() : open_file(shapes_path(name));
  }
  UniqueFd image_, debug_, alternate_;
  std::unique_ptr<DebugInfo> info_;
};

Lookup lookup(const Shapes& shapes) {
  return [&shapes](std::uint64_t address) { return shapes->at(address); };
}

}  // namespace

TEST_CASE("every function, line and inlined call, as gcc writes them") {
  for (const char* program : {"gcc_dwarf5", "gcc_dwarf4", "gcc_O0", "gcc_no_pie", "gcc_gz"}) {
    const Shapes info(program);
    check_full(lookup(info), program);
    CHECK(info->take_warnings().empty());
  }
}

#if HAVE_CLANG_SHAPES
TEST_CASE("every function, line and inlined call, as clang writes them: without .debug_aranges") {
  for (const char* program : {"clang_dwarf5", "clang_dwarf4"}) {
    const Shapes info(program);
    check_full(lookup(info), program);
    CHECK(info->take_warnings().empty());
  }
}

TEST_CASE("clang's symbol table") {
  const Shapes info("clang_g0");
  check_symbols(lookup(info), "clang_g0", false);
}
#endif

TEST_CASE("without debug information the symbol table names functions") {
  const Shapes info("gcc_g0");
  check_symbols(lookup(info), "gcc_g0", false);
}

TEST_CASE("the cold part of a function says so") {
  const Shapes info("gcc_g0");
  const auto path = shapes_path("gcc_g0");
  const auto fd = open_file(path);
  auto file = ElfFile::open(fd.get());
  REQUIRE(file.ok());
  Elf_Scn* table = file->section_of_type(SHT_SYMTAB);
  Elf_Data* data = elf_getdata(table, nullptr);
  GElf_Shdr header;
  REQUIRE(data);
  REQUIRE(gelf_getshdr(table, &header));
  int cold_parts = 0;
  GElf_Sym symbol;
  for (int i = 0; gelf_getsym(data, i, &symbol); ++i) {
    const std::string name = elf_strptr(file->elf(), header.sh_link, symbol.st_name);
    if (name != "_Z5spliti.cold") continue;
    const auto frames = info->at(symbol.st_value);
    REQUIRE(frames.size() == 1);
    CHECK(frames[0].function == "split(int) [clone .cold]");
    ++cold_parts;
  }
  CHECK(cold_parts == 1);
}

TEST_CASE("debug information is left alone when only symbols are wanted") {
  const Shapes info("gcc_dwarf5", DebugDepth::symbols);
  check_symbols(lookup(info), "gcc_dwarf5", false);
}

TEST_CASE("a stripped program has its exported functions") {
  const Shapes info("gcc_dynsym");
  check_symbols(lookup(info), "gcc_dynsym", true);
}

TEST_CASE("without section headers the dynamic segment leads to the exported functions") {
  auto bytes = bytes_of(shapes_path("gcc_dynsym"));
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.e_shoff = header.e_shnum = header.e_shstrndx = 0;
  std::memcpy(bytes.data(), &header, sizeof header);
  const auto file = file_of(bytes);
  auto info =
      DebugInfo::open({.image = file.get(), .debug = -1, .alternate = -1, .bias = 0}, DebugDepth::full);
  REQUIRE(info.ok());
  check_symbols([&](std::uint64_t address) { return (*info)->at(address); }, "gcc_dynsym", true);
}

TEST_CASE("a program stripped of everything has no names, and none are made up") {
  const Shapes info("gcc_stripped");
  for (const auto& [id, addresses] : marks_of(shapes_path("gcc_stripped"))) {
    for (const auto address : addresses) CHECK(info->at(address).empty());
  }
}

TEST_CASE("addresses outside the code are in no function") {
  const Shapes info("gcc_dwarf5");
  for (const std::uint64_t address :
       {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    CHECK(info->at(address).empty());
  }
}

TEST_CASE("a separate debug file belongs by its build-id, or else by its CRC") {
  for (const std::string program : {"gcc_separate", "gcc_no_build_id"}) {
    const Shapes info(program, program + ".debug", "");
    check_full(lookup(info), program);
    CHECK(info->take_warnings().empty());
  }
  for (const std::string program : {"gcc_separate", "gcc_no_build_id"}) {
    const std::string other = program == "gcc_separate" ? "gcc_no_build_id.debug" : "gcc_separate.debug";
    const Shapes info(program, other, "");
    CHECK(info->at(marks_of(shapes_path(program))[4].front()).empty());
    const auto warnings = info->take_warnings();
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0], Catch::Matchers::Contains("separate debug file ignored"));
  }
}

TEST_CASE("an image tells where its debug information is") {
  const auto links = [](const std::string& name) {
    const auto fd = open_file(shapes_path(name));
    auto file = ElfFile::open(fd.get());
    REQUIRE(file.ok());
    return file->links();
  };
  CHECK(links("gcc_dwarf5").has_dwarf);
  CHECK(links("gcc_dwarf5").has_symtab);
  CHECK(links("gcc_dwarf5").debug_link.empty());
  CHECK(links("gcc_dwarf5").build_id.size() == 40);
  CHECK_FALSE(links("gcc_separate").has_dwarf);
  CHECK_FALSE(links("gcc_separate").has_symtab);
  CHECK(links("gcc_separate").debug_link == "gcc_separate.debug");
  CHECK(links("gcc_separate").build_id == links("gcc_separate.debug").build_id);
  CHECK(links("gcc_separate.debug").has_dwarf);
  CHECK(links("gcc_no_build_id").build_id.empty());
}

#if HAVE_DWZ_SHAPES
TEST_CASE("a dwz file holds what programs share") {
  const auto fd = open_file(shapes_path("gcc_dwz"));
  auto file = ElfFile::open(fd.get());
  REQUIRE(file.ok());
  CHECK_THAT(file->links().alternate_link, Catch::Matchers::EndsWith("gcc_dwz.alternate"));
  CHECK(file->links().alternate_build_id.size() == 40);

  const Shapes info("gcc_dwz", "", "gcc_dwz.alternate");
  check_full(lookup(info), "gcc_dwz");
  CHECK(info->take_warnings().empty());

  const Shapes without("gcc_dwz");
  const auto frames = without->at(marks_of(shapes_path("gcc_dwz"))[4].front());
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].function == "c_function");
  const auto warnings = without->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Catch::Matchers::Contains("dwz"));
}
#endif

TEST_CASE("split DWARF: names from symbols, lines from the skeleton, and a warning") {
  const Shapes info("gcc_split");
  const auto frames = info->at(marks_of(shapes_path("gcc_split"))[4].front());
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].function == "c_function");
  CHECK(frames[0].line == 401);
  const auto warnings = info->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Catch::Matchers::Contains(".dwo"));
}

#if HAVE_ZSTD_SHAPES
TEST_CASE("sections that libelf cannot decompress are left alone, and it is said") {
  const Shapes info("gcc_zstd");
  const auto frames = info->at(marks_of(shapes_path("gcc_zstd"))[4].front());
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].function == "c_function");
  const auto warnings = info->take_warnings();
  if (frames[0].line == 401) {  // a libelf that knows zstd
    CHECK(warnings.empty());
  } else {
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0], Catch::Matchers::Contains("compressed"));
  }
}
#endif

TEST_CASE("what is no ELF file is refused") {
  const auto fd = open_file("/dev/null");
  CHECK_FALSE(
      DebugInfo::open({.image = fd.get(), .debug = -1, .alternate = -1, .bias = 0}, DebugDepth::full).ok());
  CHECK_FALSE(DebugInfo::open({}, DebugDepth::full).ok());
}

}  // namespace coppice::inspect::test
