// A greenlet's stack is an overlay:
//
//        start          start+saved            stop
//          |  heap copy      |  still on the     |  not its own:
//          |  (the slice)    |  thread's stack   |  never read
//
// SliceMemory is that sentence as a class. The Walker, GDB and later the Python reader and the core writer
// all read a greenlet's stack through it.
#pragma once

#include <vector>

#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// Where the pieces of a suspended greenlet's stack are. Zero bytes saved is legal; so is saved == stop -
/// start.
struct Slice {
  Address start = 0;        ///< stack address of the innermost byte (the suspended sp)
  Address stop = 0;         ///< stack address just beyond the outermost byte it owns (the base)
  Address copy = 0;         ///< heap address of the saved bytes; 0 when nothing is saved
  std::uint64_t saved = 0;  ///< bytes in the heap copy, at most stop - start

  std::uint64_t size() const noexcept { return stop - start; }
  std::uint64_t unsaved() const noexcept { return size() - saved; }
};

/// The stitched bytes [slice.start, slice.stop), all in this process, and the target's memory for everything
/// outside that range. Reads in [start, stop) never reach the target; where a piece could not be read when it
/// was fetched, reads stop there.
/// Thread-safety: const reads inside the range may run concurrently; outside it as the underlying memory
/// allows.
class SliceMemory final : public Memory {
 public:
  /// Takes the stitched bytes. `stack.size()` less than `slice.size()` means that the rest was unreadable.
  /// `outside` must outlive this object; it may be null, then nothing outside the range is readable.
  SliceMemory(Slice slice, std::vector<std::byte> stack, const Memory* outside);

  /// Reads both pieces from the target. Never fails: what is unreadable is simply missing from `stack()`.
  static SliceMemory fetch(const Slice& slice, const Memory& target);

  void read_batch(std::span<ReadRequest> requests) const override;

  const Slice& slice() const noexcept { return slice_; }
  /// Bytes from slice().start on, without a gap.
  std::span<const std::byte> stack() const noexcept { return stack_; }

 private:
  Slice slice_;
  std::vector<std::byte> stack_;
  const Memory* outside_;
};

}  // namespace coppice::inspect
