// The Python frames of many greenlets at once, as raw words.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "inspect/python/block_reader.hpp"
#include "inspect/python/frame_walk.hpp"
#include "inspect/python/python_chain.hpp"

namespace coppice::inspect {

/// Follows many chains side by side: in each round one batch of reads takes every chain a step further, which
/// is what makes it fast. Memory is kept from one read() to the next, so that the second is faster still.
/// Whatever the memory says, chains end: at so many frames, or where they turn in circles. Thread-safety: one
/// thread at a time.
class PythonChains {
 public:
  /// Chains of at most `most_frames` frames. References must outlive the object.
  PythonChains(const Memory& memory, const PythonLayout& layout, std::size_t most_frames);

  /// Reads them all; in the end at(i) is that of requests[i]. `left`: how many frames may be read, which they
  /// are taken off.
  void read(std::span<const PythonRequest> requests, std::size_t& left);

  /// Valid until the next read(), and may be taken away (moved from) until then.
  PythonChain& at(std::size_t number);

 private:
  void read_side_by_side(std::size_t first, std::span<const PythonRequest> requests, std::size_t& left);

  const PythonLayout& layout_;
  std::size_t most_frames_;
  BlockReader blocks_;
  std::vector<FrameWalk> walks_;  ///< at least as many as there are requests
  std::vector<FrameWalk*> going_;
};

}  // namespace coppice::inspect
