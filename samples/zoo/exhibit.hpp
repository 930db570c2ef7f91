// The zoo proper: one named greenlet for each frame shape, and the states a stack can be in.
#pragma once

#include <cstddef>
#include <functional>

namespace coppice::zoo {

/// Parks one greenlet per shape, then greenlets of which part or all of the stack is not saved, and calls
/// `open` (which waits in the kernel) in a greenlet that stays running. When that returns every greenlet goes
/// on and finishes. Returns how many greenlets there were; aborts when one did not find its frame as it left
/// it.
std::size_t run_exhibit(std::function<void()> open);

}  // namespace coppice::zoo
