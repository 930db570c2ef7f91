// One chain of Python frames, followed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/block_reader.hpp"
#include "inspect/python/python_chain.hpp"
#include "inspect/python/python_runtime.hpp"
#include "inspect/python/python_threads.hpp"

namespace coppice::inspect {

/// One Python stack to be read. What `stack` and `rest` span must stay until the reading is done.
struct PythonRequest {
  /// Of a greenlet that is suspended. What it has of its stack is taken from `greenlet.stack`.
  static PythonRequest of_greenlet(const Greenlet& greenlet);
  /// Of what a thread runs: the Python stack of its running greenlet. `stack`: bytes of the C stack from
  /// `stack_start` on that were copied together with the thread's registers; may be empty.
  static PythonRequest of_thread(const PythonThread& thread, Address stack_start = 0,
                                 std::span<const std::byte> stack = {});

  PythonPosition position;
  std::optional<Error> error;  ///< why the position is not known: the stack is empty, with this error
  /// The greenlet is suspended, so that greenlet 3.0.3 and newer may have linked its frames anew
  /// ("exposed" them), which is undone here.
  bool suspended = false;
  Address stack_start = 0;  ///< its C stack: reads in [stack_start, stack_stop) never reach the target
  Address stack_stop = 0;
  std::span<const std::byte> stack;  ///< the bytes from stack_start on, as many as there are,
  std::span<const std::byte> rest;   ///< and those behind them, where they lie elsewhere
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
  /// Chains of at most `most_frames` frames. `layout` must outlive the object.
  FrameWalk(const PythonLayout& layout, std::size_t most_frames);

  /// Begins another chain, of at most as many frames as `left`, which they are taken off. Both must stay
  /// until its end.
  void begin(const PythonRequest& request, std::size_t& left);

  /// Goes on until the end (true), or until blocks are missing (false: fetch() and call again).
  bool advance(BlockReader& blocks);

  PythonChain& chain() noexcept { return chain_; }

 private:
  enum class Step : std::uint8_t { done, blocked, failed };

  Step start(BlockReader& blocks);
  Step step(BlockReader& blocks);
  Step read_frame_object(BlockReader& blocks);
  Step read_frame(BlockReader& blocks);
  Step real_entry(BlockReader& blocks, Address frame_object, Address shown, Address& entry_frame);
  Step read(BlockReader& blocks, Address address, std::span<std::byte> into) const;
  bool read_stack(std::uint64_t offset, std::span<std::byte> into) const;
  Step fail(ErrorCode code, const char* what);
  void add(const RawPythonFrame& frame);
  void mark_entry(Address entry_frame);
  bool circles();

  const PythonLayout& layout_;
  std::size_t most_frames_;
  const PythonRequest* request_ = nullptr;
  std::size_t* left_ = nullptr;
  Address next_ = 0;
  bool started_ = false;
  bool first_ = true;
  // Brent's way of noticing a circle: the anchor moves on at every power of two steps.
  Address anchor_ = 0;
  std::size_t steps_ = 0, power_ = 1;
  PythonChain chain_;
};

}  // namespace coppice::inspect
