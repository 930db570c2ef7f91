// What a frame shape calls from inside its frame.
#pragma once

namespace coppice::zoo {

/// The rest of a greenlet's work. A shape builds its frame, calls `run()` exactly once from inside it and
/// checks afterwards that its frame is as it left it. What runs may be another shape, so shapes nest.
class Step {
 public:
  virtual ~Step() = default;
  virtual void run() = 0;
};

}  // namespace coppice::zoo
