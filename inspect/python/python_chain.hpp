// A chain of Python frames as it lies in memory, before anything is known about their code: plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "inspect/base/result.hpp"

namespace coppice::inspect {

/// One frame: the words that the interpreter changes while it runs.
struct RawPythonFrame {
  Address address = 0;
  Address code = 0;
  std::uint64_t instruction = 0;  ///< until 3.10 f_lasti, then the address of a code unit
  Address entry_frame = 0;        ///< PythonFrame::entry_frame
  std::uint8_t owner = 0;
  bool entry = false;  ///< PythonFrame::entry
  friend bool operator==(const RawPythonFrame&, const RawPythonFrame&) = default;
};

/// Frames, innermost first. What does not change, names and lines, a PythonReader reads at leisure.
struct PythonChain {
  std::vector<RawPythonFrame> frames;
  std::optional<Error> error;  ///< why it ends before the greenlet's base; none when whole
};

}  // namespace coppice::inspect
