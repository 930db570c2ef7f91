// The second oracle: libdw's unwinder (dwfl_attach_state) over the same captured bytes.
#pragma once

#include <memory>
#include <vector>

#include "tests/unwind/capture.hpp"

namespace coppice::inspect::testing {

/// Unwinds captures of this process by libdw. `sp` of the frames is not told and stays 0.
class LibdwUnwinder {
 public:
  /// Throws std::runtime_error when libdw cannot look at this process.
  LibdwUnwinder();
  ~LibdwUnwinder();
  std::vector<ExpectedFrame> frames(const Capture& capture);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coppice::inspect::testing
