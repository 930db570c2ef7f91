// The oracle's verdict: is what the inspector shows what the program said of itself?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"
#include "tests/oracle/announcement.hpp"

namespace coppice::oracle {

/// Counts over one snapshot, all from the inspector's data, and what differs from the announcement.
struct Comparison {
  std::uint64_t greenlets = 0;        ///< announced and found
  std::uint64_t stacks = 0;           ///< of these with frames, all of which were compared
  std::uint64_t frames = 0;           ///< compared with libgcc's
  std::uint64_t switch_frames = 0;    ///< resume_pc and the runtime's own, innermost, not in libgcc's list
  std::uint64_t libdw_frames = 0;     ///< all frames of the stacks on which libdw agrees
  std::uint64_t partly_saved = 0;     ///< suspended with some but not all of the stack in the heap
  std::uint64_t unsaved = 0;          ///< suspended with nothing in the heap
  std::uint64_t distinct_stacks = 0;  ///< different lists of pcs
  /// Live and running only: walked from pc and sp, all that the kernel tells of a waiting thread without
  /// stopping it, and cut at the first frame that is found by another register. The frames up to there were
  /// compared.
  std::uint64_t cut = 0;
  std::uint64_t differing = 0;  ///< greenlets with any difference, missing ones and unannounced ones included
  std::vector<std::string> differences;  ///< the first few, a sentence each
};

/// Holds every announced greenlet against the snapshot: name, state, thread, and pc, sp and exactness of each
/// frame from zoo_park outward to the base, where the walk must have ended; frame 0 of a suspended one is
/// resume_pc at the slice's start. Greenlets that were not announced count as differences.
Comparison compare(const Announcement& announcement, const inspect::Snapshot& snapshot);

/// Counts a difference, and keeps it if it is one of the first.
void note_difference(Comparison& comparison, const std::string& what);

}  // namespace coppice::oracle
