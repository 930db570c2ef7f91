// SourceFrame: what a person calls an address. Shared by the Symbolizer and coppice-worker.
#pragma once

#include <cstdint>
#include <string>

namespace coppice::inspect {

/// How deep to look. `symbols`, the symbol tables alone, is enough to tell functions apart, takes a tenth of
/// the time where there is much debug information, and is the retreat where that killed or stalled the
/// worker.
enum class DebugDepth : std::uint8_t { full, symbols };

/// One source-level frame at an address. Empty strings and 0 mean unknown.
struct SourceFrame {
  std::string function;  ///< demangled
  std::string file;
  std::uint32_t line = 0;
  bool inlined = false;  ///< inlined into the next SourceFrame

  bool operator==(const SourceFrame&) const = default;
};

}  // namespace coppice::inspect
