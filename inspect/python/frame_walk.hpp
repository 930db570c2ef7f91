// A chain of Python frames, as raw words, before anything is known about their code.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inspect/python/block_reader.hpp"
#include "inspect/python/python_frames.hpp"

namespace coppice::inspect {

/// One frame as it lies in memory.
struct RawFrame {
  Address address = 0;
  Address code = 0;
  std::uint64_t instruction = 0;  ///< until 3.10 f_lasti, then the address of a code unit
  Address entry_frame = 0;
  std::uint8_t owner = 0;
  bool entry = false;
};

/// Follows one chain as far as the blocks that are there allow.
///
/// 3.8 to 3.10      frame -> f_back -> f_back -> ... 0
/// 3.11             frame -> previous -> ... 0, the outermost of each run marked is_entry
/// 3.12 and newer   frame -> previous -> [entry frame, on the C stack] -> frame -> ... 0
///
/// greenlet 3.0.3 and newer links the frames of a suspended greenlet past the entry frames, since those are
/// no longer where they were, and keeps each link that it replaced in the PyFrameObject of its frame:
///
///     frame --previous--------------------------------> frame
///       \--> PyFrameObject --> [entry frame, in the slice] --^
///
/// Both ways are read, and the second counts only where it leads to the same frame as the first.
class FrameWalk {
 public:
  /// At most `most_frames` frames, and at most as many as `left`, which they are taken off. All references
  /// must outlive the object.
  FrameWalk(const PythonLayout& layout, const PythonRequest& request, std::size_t most_frames,
            std::size_t& left);

  /// Goes on until the end (true), or until blocks are missing (false: fetch() and call again).
  bool advance(BlockReader& blocks);

  std::vector<RawFrame>& frames() noexcept { return frames_; }
  std::optional<Error>& error() noexcept { return error_; }

 private:
  enum class Step : std::uint8_t { done, blocked, failed };

  Step start(BlockReader& blocks);
  Step step(BlockReader& blocks);
  Step read_frame_object(BlockReader& blocks);
  Step read_frame(BlockReader& blocks);
  Step real_entry(BlockReader& blocks, Address frame_object, Address shown, Address& entry_frame);
  Step read(BlockReader& blocks, Address address, std::span<std::byte> into) const;
  Step fail(ErrorCode code, const char* what);
  void add(const RawFrame& frame);
  void mark_entry(Address entry_frame);
  bool circles();

  const PythonLayout& layout_;
  const PythonRequest& request_;
  std::size_t most_frames_;
  std::size_t& left_;
  Address next_ = 0;
  bool started_ = false;
  bool first_ = true;
  // Brent's way of noticing a circle: the anchor moves on at every power of two steps.
  Address anchor_ = 0;
  std::size_t steps_ = 0, power_ = 1;
  std::vector<RawFrame> frames_;
  std::optional<Error> error_;
};

}  // namespace coppice::inspect
