// DebugInfo held against two independent programs, eu-addr2line and binutils' addr2line, on real binaries.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "inspect/worker/debug_info/debug_info.hpp"
#include "tests/support/catch.hpp"
#include "tests/symbols/shapes_file.hpp"
#include "tests/target/child.hpp"

namespace coppice::inspect::test {
namespace {

/// "file:line", normalized; "" when unknown.
std::string place(const std::string& file, const std::string& line) {
  if (file == "??" || file.empty()) return {};
  return std::filesystem::path(file).lexically_normal().string() + ':' + (line == "?" ? "0" : line);
}

/// A function's own name: without scopes, template arguments, parameters and return type, so that
/// "std::vector<int>::size() const" and "size" are the same. Empty for operators, which defy this.
std::string own_name(const std::string& name) {
  if (name.find("operator") != std::string::npos || name == "??") return {};
  std::string flat;
  int depth = 0;
  for (const char c : name) {
    if (c == '<' || c == '(' || c == '{') ++depth;
    if (depth == 0) flat += c;
    if (c == '>' || c == ')' || c == '}') --depth;
    if (depth == 0 && c == ')' && flat.find("::") == std::string::npos) flat += ' ';
  }
  for (const char* suffix : {" const", " [clone", " &&", " [abi"}) flat = flat.substr(0, flat.find(suffix));
  flat = flat.substr(0, flat.find("[abi"));
  while (!flat.empty() && flat.back() == ' ') flat.pop_back();
  if (const auto space = flat.rfind(' '); space != std::string::npos) flat.erase(0, space + 1);
  if (const auto scope = flat.rfind("::"); scope != std::string::npos) flat.erase(0, scope + 2);
  return flat.substr(0, flat.find('@'));
}

struct Line {
  std::string function;
  std::string place;
};
using Chains = std::map<std::uint64_t, std::vector<Line>>;

/// Runs an addr2line program over the addresses.
Chains ask(const std::string& tool, const std::string& path, const std::vector<std::uint64_t>& addresses) {
  const ScratchFolder scratch;
  const std::string questions = scratch.path() + "/addresses";
  std::ofstream out(questions);
  for (const auto address : addresses) out << "0x" << std::hex << address << '\n';
  out.close();
  std::istringstream in(run(tool + " -a -i -f -C -e " + path + " < " + questions).text);
  Chains chains;
  std::vector<Line>* chain = nullptr;
  std::string function, line;
  while (std::getline(in, line)) {
    if (line.starts_with("0x") && line.find(' ') == std::string::npos) {
      chain = &chains[std::stoull(line, nullptr, 16)];
    } else if (chain && function.empty()) {
      function = line.substr(0, line.find(" inlined at "));
    } else if (chain) {
      line = line.substr(0, line.find(" (discriminator"));
      auto colon = line.rfind(':');
      // eu-addr2line adds the column.
      if (tool.starts_with("eu-") && std::count(line.begin(), line.end(), ':') > 1) {
        line.erase(colon);
        colon = line.rfind(':');
      }
      chain->push_back({function, place(line.substr(0, colon), line.substr(colon + 1))});
      function.clear();
    }
  }
  return chains;
}

std::vector<Line> ours(DebugInfo& info, std::uint64_t address) {
  std::vector<Line> lines;
  for (const auto& frame : info.at(address))
    lines.push_back({frame.function, place(frame.file, std::to_string(frame.line))});
  return lines;
}

bool same_places(const std::vector<Line>& a, const std::vector<Line>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Line& x, const Line& y) { return x.place == y.place; });
}

/// Random addresses inside functions of the program.
std::vector<std::uint64_t> addresses_in(const ElfFile& file, std::size_t count) {
  const auto source = section_symbols(file, SHT_SYMTAB);
  REQUIRE(source);
  std::vector<GElf_Sym> functions;
  GElf_Sym symbol;
  for (int i = 0; i < source->count && gelf_getsym(source->symbols, i, &symbol); ++i) {
    if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_size > 0) functions.push_back(symbol);
  }
  REQUIRE_FALSE(functions.empty());
  std::mt19937_64 random(20261123);
  std::set<std::uint64_t> addresses;
  for (std::size_t tries = 0; addresses.size() < count && tries < 100 * count; ++tries) {
    const auto& function = functions[random() % functions.size()];
    addresses.insert(function.st_value + random() % function.st_size);
  }
  REQUIRE(addresses.size() == count);
  return {addresses.begin(), addresses.end()};
}

std::string text(const std::vector<Line>& lines) {
  std::string all;
  for (const auto& line : lines) all += "  " + line.function + " at " + line.place + '\n';
  return all;
}

/// Compares `count` addresses of a program. `whole`: every chain of inlined calls equals that of one of the
/// two programs (each is known to lose a frame now and then); else the innermost place does, since without
/// .debug_aranges eu-addr2line finds no lines and binutils drops inlined calls that clang wrote.
void compare(const std::string& path, std::size_t count, bool whole) {
  const auto fd = open_file(path);
  auto file = ElfFile::open(fd.get());
  REQUIRE(file.ok());
  const auto addresses = addresses_in(*file, count);
  auto info = DebugInfo::open({.image = fd.get(), .debug = -1, .alternate = -1, .bias = 0}, DebugDepth::full);
  REQUIRE(info.ok());
  auto elfutils = ask("eu-addr2line", path, addresses);
  auto binutils = ask("addr2line", path, addresses);
  std::size_t inlined = 0, lines = 0, names = 0;
  for (const auto address : addresses) {
    const auto mine = ours(**info, address);
    INFO(path << " 0x" << std::hex << address << "\nours:\n"
              << text(mine) << "eu-addr2line:\n"
              << text(elfutils[address]) << "addr2line:\n"
              << text(binutils[address]));
    REQUIRE_FALSE(mine.empty());
    inlined += mine.size() > 1;
    lines += !mine[0].place.empty();
    REQUIRE_FALSE(binutils[address].empty());
    if (!whole) {
      CHECK(mine.front().place == binutils[address].front().place);
      continue;
    }
    const auto* reference = &elfutils[address];
    if (!same_places(mine, *reference)) reference = &binutils[address];
    CHECK(same_places(mine, *reference));
    if (!same_places(mine, *reference)) continue;
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const auto wanted = own_name((*reference)[i].function);
      if (wanted.empty() || mine[i].function.find("operator") != std::string::npos) continue;
      CHECK_THAT(mine[i].function, Catch::Matchers::Contains(wanted));
      ++names;
    }
  }
  std::cout << path << ": " << addresses.size() << " addresses, " << lines << " with lines, " << inlined
            << " with inlined calls, " << names << " names compared\n";
  CHECK(lines > count / 2);
  CHECK(inlined > count / 50);
  if (whole) CHECK(names > count / 2);
}

}  // namespace

TEST_CASE("a real program, compiled by gcc, as eu-addr2line and addr2line see it") {
  compare(REAL_PROGRAM, 400, true);
  compare(shapes_path("gcc_dwarf4"), 150, true);
}

#if HAVE_CLANG_SHAPES
TEST_CASE("the innermost lines of a program compiled by clang, as addr2line sees them") {
  compare(shapes_path("clang_dwarf5"), 150, false);
  compare(shapes_path("clang_dwarf4"), 150, false);
}
#endif

}  // namespace coppice::inspect::test
