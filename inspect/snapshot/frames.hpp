// From walked stacks to the frames that people read.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"
#include "inspect/symbols/symbolizer.hpp"

namespace coppice::inspect {

/// Is the module at this path one whose frames the view leaves out where it can? Empty: none is. Reading an
/// interpreter's debug information takes longer than all else of a first look, and is for nothing when nobody
/// sees it.
using Folded = std::function<bool(std::string_view path)>;

/// The frames of all these walks, in their order: each distinct pc is looked up once, however many stacks it
/// is in; inlined frames are expanded, but in folded modules, which are named by their symbol tables alone.
/// `symbolizer` may be null: then only modules and offsets are told. The raw frames are given up one by one
/// on the way, so that their memory serves the new ones.
std::vector<std::vector<Frame>> name_frames(const Target& target, Symbolizer* symbolizer,
                                            std::span<Walk> walks, const Folded& folded);

/// Names in full what is left of folded modules in these listings: somebody will see it.
void name_what_is_left(const Target& target, Symbolizer& symbolizer,
                       std::span<SnapshotGreenlet* const> greenlets, const Folded& folded);

}  // namespace coppice::inspect
