// From walked stacks to the frames that people read.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "inspect/snapshot/snapshot.hpp"
#include "inspect/symbols/symbolizer.hpp"

namespace coppice::inspect {

/// Turns pcs into Frames for one snapshot. Each distinct pc is looked up once, however many stacks it is in.
class FrameNamer {
 public:
  /// `symbolizer` may be null: then only module and offset are told. Both must outlive this object.
  FrameNamer(const Target& target, Symbolizer* symbolizer) : target_(target), symbolizer_(symbolizer) {}

  /// Learns every pc of these walks in one exchange with the symbolizer. Must be called before `frames`,
  /// once.
  void learn(std::span<const Walk> walks);

  /// The frames of one of them; inlined ones are expanded.
  std::vector<Frame> frames(const Walk& walk) const;

 private:
  struct Named {
    const Module* module = nullptr;
    const SymbolizedAddress* symbols = nullptr;
  };
  /// A pc and whether it is exact: a return address is looked up at pc - 1.
  static std::uint64_t key(const RawFrame& frame) { return frame.pc << 1U | (frame.exact ? 1U : 0U); }

  const Target& target_;
  Symbolizer* symbolizer_;
  std::unordered_map<std::uint64_t, Named> named_;
};

}  // namespace coppice::inspect
