// The local variables of a greenlet's innermost Python frames, as references.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/frame_walk.hpp"
#include "inspect/waits/heap.hpp"

namespace coppice::inspect {

/// One Python frame.
struct FrameVariables {
  Address code = 0;
  std::vector<Address> values;  ///< in the order of their slots, 0 where a variable has none
};

/// Reads the frames of one stack in the rounds of a Heap. Thread-safety: one thread at a time.
class PythonVariables {
 public:
  /// At most so many frames, so many where no number is said, and of each so many variables.
  static constexpr std::size_t most_frames = 12, usual_frames = 4, most_variables = 24;

  /// All references must outlive the object. Of frames that are known.
  PythonVariables(const PythonLayout& layout, const PythonChain& chain);
  /// Of a stack whose frames have to be found first, `most` of them at most.
  PythonVariables(const PythonLayout& layout, PythonRequest request, std::size_t most = most_frames);
  PythonVariables(const PythonVariables&) = delete;
  PythonVariables& operator=(const PythonVariables&) = delete;

  /// The frames, innermost first: at least `wanted` of them, or as many as there are or can be read.
  /// Provisional while Heap::pending().
  const std::vector<FrameVariables>& frames(Heap& heap, std::size_t wanted = usual_frames);

  /// The code object of the innermost frame; 0 when there is none, or not yet. Reads no variables.
  Address innermost_code(Heap& heap);

  /// The outermost frame, where all could be found. Provisional while Heap::pending().
  std::optional<FrameVariables> outermost(Heap& heap);

  /// The qualified name of the innermost function, before CPython 3.11 its name; empty when there is none.
  /// Provisional while Heap::pending().
  std::string function(Heap& heap);

 private:
  void find_frames(Heap& heap);
  bool read(Heap& heap, const RawPythonFrame& frame, FrameVariables& into) const;

  const PythonLayout& layout_;
  PythonRequest request_;
  std::size_t left_;
  std::optional<FrameWalk> walk_;       ///< while they are being found
  const PythonChain* chain_ = nullptr;  ///< null: not found yet
  bool cut_ = false;                    ///< the next frame cannot be read
  std::vector<FrameVariables> frames_;
  std::optional<std::string> function_;
};

}  // namespace coppice::inspect
