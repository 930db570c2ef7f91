// Golden files: what was once looked at and found right.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/catch.hpp"

namespace coppice::inspect::testing {

/// Compares with tests/snapshot/golden/`file`. With COPPICE_UPDATE_GOLDEN set the file is written instead;
/// look at the difference before committing it.
inline void check_golden(const std::string& file, const std::string& text) {
  const std::string path = std::string(GOLDEN_DIR) + "/" + file;
  if (std::getenv("COPPICE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream stream(path);
  REQUIRE(stream);
  const std::string golden{std::istreambuf_iterator<char>(stream), {}};
  REQUIRE_FALSE(golden.empty());
  CHECK(text == golden);
}

}  // namespace coppice::inspect::testing
