#include "tests/symbols/shapes_checks.hpp"

#include <string_view>

#include "tests/support/catch.hpp"
#include "tests/symbols/shapes_file.hpp"

namespace coppice::inspect::test {
namespace {

std::string text(const std::vector<SourceFrame>& frames) {
  std::string all;
  for (const auto& frame : frames) {
    all += frame.function + " at " + frame.file + ":" + std::to_string(frame.line);
    all += frame.inlined ? " <- " : "\n";
  }
  return all;
}

/// A frame of the shapes program: the function's name contains all `parts`; in shapes.cpp when it has a line.
void check_frame(const SourceFrame& frame, const std::vector<std::string_view>& parts, std::uint32_t line,
                 bool inlined) {
  for (const auto part : parts) CHECK_THAT(frame.function, Catch::Matchers::Contains(std::string(part)));
  CHECK(frame.line == line);
  CHECK(frame.inlined == inlined);
  if (line != 0) CHECK_THAT(frame.file, Catch::Matchers::EndsWith("/shapes.cpp"));
  if (line == 0) CHECK(frame.file.empty());
}

}  // namespace

bool is_unknown(const std::vector<SourceFrame>& frames) {
  return frames.empty() || (frames.size() == 1 && frames[0] == SourceFrame{});
}

void check_full(const Lookup& lookup, const std::string& program) {
  for (const auto& [id, addresses] : marks_of(shapes_path(program))) {
    for (const auto address : addresses) {
      const auto frames = lookup(address);
      INFO(program << " mark " << id << ": " << text(frames));
      REQUIRE(frames.size() == (id == 1 ? 3U : id == 9 ? 2U : 1U));
      const auto line = static_cast<std::uint32_t>(id * 100 + 1);
      switch (id) {
        case 1:
          CHECK(frames[0].function == "deep::innermost(int)");
          CHECK(frames[1].function == "deep::middle(int)");
          CHECK(frames[2].function == "deep::outer(int)");
          check_frame(frames[0], {}, 101, true);
          check_frame(frames[1], {}, 111, true);
          check_frame(frames[2], {}, 121, false);
          break;
        case 2:
          check_frame(frames[0], {"Box<long>::get(long)"}, line, false);
          break;
        case 3:
          check_frame(frames[0], {"lambdas", "operator()"}, line, false);
          break;
        case 4:
          check_frame(frames[0], {"c_function"}, line, false);
          break;
        case 5:
          check_frame(frames[0], {"(anonymous namespace)::hidden(int)"}, line, false);
          break;
        case 6:
          check_frame(frames[0], {"split(int)"}, line, false);
          break;
        case 9:
          check_frame(frames[0], {"(anonymous namespace)::Widget::poke"}, line, true);
          check_frame(frames[1], {"poker(int)"}, 911, false);
          break;
        case 7:
          CHECK(frames[0].function == "bare");
          break;
        case 8:
          CHECK(frames[0].function.empty());
          break;
        default:
          FAIL("unknown mark");
      }
    }
  }
}

void check_symbols(const Lookup& lookup, const std::string& program, bool exported_only) {
  for (const auto& [id, addresses] : marks_of(shapes_path(program))) {
    for (const auto address : addresses) {
      const auto frames = lookup(address);
      INFO(program << " mark " << id << ": " << text(frames));
      if (id == 8 || (exported_only && (id == 3 || id == 5))) {
        CHECK(is_unknown(frames));
        continue;
      }
      REQUIRE(frames.size() == 1);
      switch (id) {
        case 1:
          check_frame(frames[0], {"deep::outer(int)"}, 0, false);
          break;
        case 2:
          check_frame(frames[0], {"Box<long>::get(long)"}, 0, false);
          break;
        case 3:
          check_frame(frames[0], {"lambdas(int)::", "operator()"}, 0, false);
          break;
        case 4:
          check_frame(frames[0], {"c_function"}, 0, false);
          break;
        case 5:
          check_frame(frames[0], {"(anonymous namespace)::hidden(int)"}, 0, false);
          break;
        case 6:
          check_frame(frames[0], {"split(int)"}, 0, false);
          break;
        case 7:
          check_frame(frames[0], {"bare"}, 0, false);
          break;
        case 9:
          check_frame(frames[0], {"poker(int)"}, 0, false);
          break;
        default:
          FAIL("unknown mark");
      }
    }
  }
}

}  // namespace coppice::inspect::test
