#include "tests/oracle/second_opinion.hpp"

#include <fmt/format.h>

#include "inspect/memory/slice_memory.hpp"
#include "tests/oracle/libdw/libdw_oracle.hpp"

namespace coppice::oracle {

namespace {

/// Where the bytes of a stack are, also of a running one: from its sp on all of it is in place.
inspect::Slice slice_of(const inspect::Greenlet& greenlet) {
  if (greenlet.state != inspect::State::running) return greenlet.slice;
  return {greenlet.registers.sp(), greenlet.slice.stop, 0, 0};
}

/// What libdw sees otherwise, or empty. Its idea of an exact pc is wider than ours (the trampoline has one
/// too), so that is left to the first oracle.
std::string difference(const LibdwStack& stack, const std::vector<inspect::Frame>& frames) {
  if (stack.end != LibdwStack::End::outermost) return "libdw stopped: " + stack.error;
  if (stack.frames.size() != frames.size()) {
    return fmt::format("{} frames, libdw sees {}", frames.size(), stack.frames.size());
  }
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (frames[i].pc != stack.frames[i].pc) {
      return fmt::format("frame {}: pc {:#x}, libdw says {:#x}", i, frames[i].pc, stack.frames[i].pc);
    }
  }
  return {};
}

}  // namespace

inspect::Result<void> compare_with_libdw(const inspect::Target& target, const inspect::Snapshot& snapshot,
                                         Comparison& comparison) {
  auto oracle = LibdwOracle::open(target);
  if (!oracle.ok()) return std::move(oracle).error();
  if (!oracle->missing().empty())
    return inspect::Error{inspect::ErrorCode::no_file, 0, oracle->missing().front()};
  for (const inspect::SnapshotGreenlet& shown : snapshot.greenlets) {
    if (shown.frames.empty() || shown.end != inspect::End::base) continue;
    const auto memory = inspect::SliceMemory::fetch(slice_of(shown.greenlet), target.memory());
    const LibdwStack stack = oracle->unwind(shown.greenlet.registers, memory);
    const std::string what = difference(stack, shown.frames);
    if (what.empty()) {
      comparison.libdw_frames += stack.frames.size();
    } else {
      note_difference(comparison, fmt::format("{} {}: {}", shown.greenlet.id, shown.greenlet.name, what));
    }
  }
  return {};
}

}  // namespace coppice::oracle
