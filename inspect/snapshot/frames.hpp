// From walked stacks to the frames that people read.
#pragma once

#include <span>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"
#include "inspect/symbols/symbolizer.hpp"

namespace coppice::inspect {

/// The frames of all these walks, in their order: each distinct pc is looked up once, however many stacks it
/// is in; inlined frames are expanded. `symbolizer` may be null: then only modules and offsets are told. The
/// raw frames are given up one by one on the way, so that their memory serves the new ones.
std::vector<std::vector<Frame>> name_frames(const Target& target, Symbolizer* symbolizer,
                                            std::span<Walk> walks);

}  // namespace coppice::inspect
