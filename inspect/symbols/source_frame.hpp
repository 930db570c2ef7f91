// SourceFrame: what a person calls an address. Shared by the Symbolizer and coppice-worker.
#pragma once

#include <cstdint>
#include <string>

namespace coppice::inspect {

/// One source-level frame at an address. Empty strings and 0 mean unknown.
struct SourceFrame {
  std::string function;  ///< demangled
  std::string file;
  std::uint32_t line = 0;
  bool inlined = false;  ///< inlined into the next SourceFrame

  bool operator==(const SourceFrame&) const = default;
};

}  // namespace coppice::inspect
