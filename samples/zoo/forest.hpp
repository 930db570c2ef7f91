// A forest: thousands of greenlets at random depths of randomly nested frame shapes, in several threads.
//
// Each thread grows one tree. Its trunk is a chain of greenlets, each started by the one before it, so when
// the last one waits in the kernel all of them have stack that is still in place:
//
//   main ── link ── link ── link (waits)        a link that was started high up in the one before it, and is
//   switched
//    ├ leaf  ├ leaf  ├ leaf  ├ leaf             to from further down, makes that one save what lies below:
//    partly saved; └ leaf  └ leaf                             a link that is started at the very bottom
//    leaves it wholly unsaved
//
// Leaves hang from everywhere on the trunk and are saved whole. On the way some are visited again and move.
#pragma once

#include <cstdint>
#include <functional>

namespace coppice::zoo {

struct ForestPlan {
  std::uint64_t seed = 1;      ///< the same seed gives the same forest
  unsigned greenlets = 5'000;  ///< not counting main greenlets
  unsigned threads = 4;
};

/// Grows the forest, then calls `open` (which waits in the kernel) in the calling thread. When that returns
/// every greenlet goes on and finishes. Returns how many did, which is `greenlets`; aborts when one did not
/// find its frames as it left them.
unsigned run_forest(const ForestPlan& plan, const std::function<void()>& open);

}  // namespace coppice::zoo
