#include "inspect/snapshot/frames.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

namespace coppice::inspect {
namespace {

/// Numbers the distinct pcs of many stacks, from 0. Open addressing: there are a hundred lookups for each new
/// pc.
class PcNumbers {
 public:
  std::uint32_t number(const RawFrame& frame) {
    const std::uint64_t key =
        frame.pc << 1U | (frame.exact ? 1U : 0U);  // exact ones are looked up differently
    for (std::size_t at = home(key);; at = (at + 1) % slots_.size()) {
      Slot& slot = slots_[at];
      if (slot.number != none && slot.key == key) return slot.number;
      if (slot.number != none) continue;
      if ((frames_.size() + 1) * 2 > slots_.size()) {
        grow();
        return number(frame);
      }
      slot = {key, static_cast<std::uint32_t>(frames_.size())};
      frames_.push_back(frame);
      return slot.number;
    }
  }

  /// The first frame met of each number.
  std::span<const RawFrame> frames() const { return frames_; }

 private:
  static constexpr std::uint32_t none = UINT32_MAX;
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t number = none;
  };

  std::size_t home(std::uint64_t key) const {
    constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U;  // Fibonacci hashing: the high bits are well mixed
    return static_cast<std::size_t>(key * golden >> (64 - std::countr_zero(slots_.size())));
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.number == none) continue;
      std::size_t at = home(slot.key);
      while (slots_[at].number != none) at = (at + 1) % slots_.size();
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1024);  // a power of two
  std::vector<RawFrame> frames_;
};

/// One physical frame by its names: several when calls were inlined.
std::vector<Frame> expand(const Frame& frame, const SymbolizedAddress* symbols) {
  if (symbols == nullptr || symbols->frames.empty()) return {frame};
  std::vector<Frame> expanded(symbols->frames.size(), frame);
  for (std::size_t i = 0; i < expanded.size(); ++i) {
    const SourceFrame& source = symbols->frames[i];
    expanded[i].function = source.function;
    expanded[i].file = source.file;
    expanded[i].line = source.line;
    expanded[i].inlined = source.inlined;
  }
  return expanded;
}

/// What every frame at this pc looks like, but for the stack pointer and names.
Frame frame_at(const Target& target, const RawFrame& raw) {
  Frame frame;
  frame.pc = raw.pc;
  frame.exact = raw.exact;
  // A call at the very end of a module returns to just beyond it.
  if (const Module* module = target.module_at(raw.exact ? raw.pc : raw.pc - 1)) {
    frame.module = module->path;
    frame.build_id = module->build_id;
    frame.offset = raw.pc - module->bias;
  }
  return frame;
}

std::vector<std::vector<Frame>> describe(const Target& target, Symbolizer* symbolizer,
                                         std::span<const RawFrame> distinct, const Folded& folded) {
  std::vector<Frame> frames;
  std::vector<SymbolQuery> queries;
  frames.reserve(distinct.size());
  queries.reserve(distinct.size());
  for (const RawFrame& raw : distinct) {
    const Frame& frame = frames.emplace_back(frame_at(target, raw));
    const bool shallow = folded && folded(frame.module);
    queries.push_back({raw.pc, raw.exact, shallow ? DebugDepth::symbols : DebugDepth::full});
  }
  std::vector<const SymbolizedAddress*> symbols(distinct.size(), nullptr);
  if (symbolizer != nullptr && !distinct.empty()) symbols = symbolizer->symbolize(target, queries);
  std::vector<std::vector<Frame>> described;
  described.reserve(distinct.size());
  for (std::size_t i = 0; i < distinct.size(); ++i) described.push_back(expand(frames[i], symbols[i]));
  return described;
}

}  // namespace

std::vector<std::vector<Frame>> name_frames(const Target& target, Symbolizer* symbolizer,
                                            std::span<Walk> walks, const Folded& folded) {
  PcNumbers numbers;
  std::vector<std::uint32_t> number_of;  // of every frame of every walk, in order
  for (const Walk& walk : walks) {
    for (const RawFrame& frame : walk.frames) number_of.push_back(numbers.number(frame));
  }
  const std::vector<std::vector<Frame>> described = describe(target, symbolizer, numbers.frames(), folded);

  std::vector<std::vector<Frame>> named(walks.size());
  auto number = number_of.begin();
  for (std::size_t i = 0; i < walks.size(); ++i) {
    named[i].reserve(walks[i].frames.size());
    for (const RawFrame& raw : walks[i].frames) {
      for (const Frame& frame : described[*number]) {
        Frame& added = named[i].emplace_back(frame);
        added.sp = raw.sp;
        added.cfa = raw.cfa;
        added.signal_trampoline = raw.signal_trampoline;
      }
      ++number;
    }
    walks[i].frames = {};
  }
  return named;
}

void name_what_is_left(const Target& target, Symbolizer& symbolizer,
                       std::span<SnapshotGreenlet* const> greenlets, const Folded& folded) {
  const auto is_left = [&folded](const Frame& frame) {
    return frame.kind == Frame::Kind::native && folded(frame.module);
  };
  std::vector<SymbolQuery> queries;
  std::vector<std::vector<Frame>*> listings;
  for (SnapshotGreenlet* greenlet : greenlets) {
    const std::size_t before = queries.size();
    for (const Frame& frame : greenlet->frames) {
      // Of what is inlined only the frame that it is in is asked for: it brings the others along.
      if (is_left(frame) && !frame.inlined) queries.push_back({frame.pc, frame.exact});
    }
    if (queries.size() > before) listings.push_back(&greenlet->frames);
  }
  if (queries.empty()) return;
  const auto symbols = symbolizer.symbolize(target, queries);
  auto next = symbols.begin();
  for (std::vector<Frame>* listing : listings) {
    std::vector<Frame> named;
    for (const Frame& frame : *listing) {
      if (!is_left(frame)) {
        named.push_back(frame);
      } else if (!frame.inlined) {
        std::ranges::move(expand(frame, *next++), std::back_inserter(named));
      }
    }
    *listing = std::move(named);
  }
}

}  // namespace coppice::inspect
