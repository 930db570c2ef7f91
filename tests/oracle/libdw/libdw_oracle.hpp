// The second oracle: libdw's unwinder, which shares no code with LLVM libunwind nor with our Walker.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "inspect/memory/memory.hpp"
#include "inspect/target/registers.hpp"
#include "inspect/target/target.hpp"

namespace coppice::oracle {

/// A stack as libdw sees it.
struct LibdwStack {
  enum class End {
    outermost,  ///< its CFI says that the last frame has no caller
    no_cfi,     ///< the last frame's pc has no CFI; libdw would go on by guessing from rbp, so it is stopped
                ///< there
    failed,     ///< libdw could not go on; `error` says why (a read outside of the memory it was given, ...)
    too_deep,   ///< the frame limit
  };
  struct Frame {
    inspect::Address pc = 0;  ///< raw
    bool exact = false;       ///< not a return address: frame 0, and what a signal interrupted
  };
  std::vector<Frame> frames;  ///< innermost first
  End end = End::failed;
  std::string error;
};

/// Unwinds stacks of one target by libdw (dwfl_attach_state), reading modules from Target::open_image and the
/// stack from whatever Memory it is given, for example a SliceMemory. Looks for no other files and never asks
/// debuginfod. Thread-safety: one thread at a time.
class LibdwOracle {
 public:
  /// Takes the target's modules as they are now; modules that cannot be opened are listed in `missing`. `io`,
  /// `corrupt` when libdw takes none. The target may go away afterwards.
  static inspect::Result<LibdwOracle> open(const inspect::Target& target);

  LibdwOracle(LibdwOracle&&) noexcept;
  LibdwOracle& operator=(LibdwOracle&&) noexcept;
  ~LibdwOracle();

  /// Unwinds from registers of which pc and sp at least are known. Frame 0 is looked up at its exact pc.
  /// Reads only `memory`: where that ends (SliceMemory without anything outside), the walk ends.
  LibdwStack unwind(const inspect::Registers& registers, const inspect::Memory& memory,
                    std::size_t max_frames = 100'000);

  /// Paths of modules that could not be opened, with the reason.
  const std::vector<std::string>& missing() const noexcept;

 private:
  struct Impl;
  explicit LibdwOracle(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coppice::oracle
