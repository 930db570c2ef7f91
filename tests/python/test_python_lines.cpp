// Line tables against what the interpreters that made them say. line_tables.py wrote the files, and runs here
// too.
#include <fmt/format.h>

#include <fstream>
#include <random>
#include <sstream>

#include "inspect/python/python_lines.hpp"
#include "tests/python/python_subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

struct Table {
  std::int32_t first_line = 0;
  std::int64_t size = 0;
  std::vector<std::byte> bytes;
  std::vector<std::pair<std::int64_t, std::uint32_t>> lines;  ///< from each offset on
};

struct Tables {
  LineTable kind = LineTable::locations;
  std::vector<Table> tables;
};

Tables parse(std::istream& text) {
  Tables all;
  std::string line;
  while (std::getline(text, line)) {
    std::istringstream words(line);
    std::string word, hexadecimal;
    words >> word;
    if (word == "python") {
      words >> word;
      const auto layout =
          python_layout({3U << 24U | static_cast<unsigned>(std::stoi(word.substr(2))) << 16U});
      REQUIRE(layout);
      all.kind = layout->line_table;
      continue;
    }
    REQUIRE(word == "code");
    Table& table = all.tables.emplace_back();
    words >> table.first_line >> table.size >> hexadecimal;
    for (std::size_t at = 0; at + 1 < hexadecimal.size(); at += 2) {
      table.bytes.push_back(static_cast<std::byte>(std::stoi(hexadecimal.substr(at, 2), nullptr, 16)));
    }
    for (std::int64_t offset = 0; words >> offset;) {
      char colon = 0;
      std::uint32_t number = 0;
      words >> colon >> number;
      table.lines.emplace_back(offset, number);
    }
  }
  return all;
}

/// Compares every instruction; returns how many there were.
std::size_t compare(const Tables& all) {
  std::size_t compared = 0;
  std::size_t different = 0;
  for (const Table& table : all.tables) {
    std::size_t next = 0;
    std::uint32_t expected = 0;
    for (std::int64_t offset = -2; offset < table.size; offset += 2) {
      if (next < table.lines.size() && table.lines[next].first == offset)
        expected = table.lines[next++].second;
      const auto line = line_at(all.kind, table.bytes, table.first_line, offset).value_or(0);
      ++compared;
      if (line != expected && ++different < 5) {
        WARN(fmt::format("code at line {}, offset {}: {}, not {}", table.first_line, offset, line, expected));
      }
    }
    CHECK(next == table.lines.size());
  }
  CHECK(different == 0);
  return compared;
}

}  // namespace

TEST_CASE("line tables of CPython 3.8 to 3.15 say what those interpreters say") {
  for (unsigned minor = 8; minor <= 15; ++minor) {
    INFO("3." << minor);
    std::ifstream file(fmt::format("{}/3.{}.txt", LINE_TABLES, minor));
    const Tables all = parse(file);
    CHECK(all.tables.size() >= 12);
    CHECK(compare(all) > 1500);
  }
}

TEST_CASE("line tables of the standard library of the interpreter that is here") {
  std::string command;
  for (const std::string& word : python_command()) command += word + " ";
  const test::Output output = test::run(fmt::format(
      "{} - json.decoder argparse typing ast asyncio.base_events re inspect dataclasses enum tarfile < {}",
      command, LINE_TABLES_SCRIPT));
  REQUIRE(output.status == 0);
  std::istringstream text(output.text);
  const Tables all = parse(text);
  CHECK(all.tables.size() > 500);
  CHECK(compare(all) > 50000);
}

TEST_CASE("tables that make no sense give no line, or one in range") {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> table(random() % 24);
    for (std::byte& byte : table) byte = static_cast<std::byte>(random());
    for (const LineTable kind : {LineTable::lnotab, LineTable::ranges, LineTable::locations}) {
      for (const std::int64_t offset :
           {std::int64_t{-2}, std::int64_t{0}, std::int64_t{14}, INT64_MAX, INT64_MIN}) {
        for (const std::int32_t first : {INT32_MIN, -1, 0, 1, INT32_MAX}) {
          const auto line = line_at(kind, table, first, offset);
          if (line && (*line == 0 || *line > INT32_MAX)) FAIL("a line out of range");
        }
      }
    }
  }
}
