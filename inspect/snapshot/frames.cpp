#include "inspect/snapshot/frames.hpp"

#include <bit>

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

/// What every frame at this pc looks like, but for the stack pointer: several when calls were inlined.
std::vector<Frame> frames_at(const RawFrame& raw, const Module* module, const SymbolizedAddress* symbols) {
  Frame frame;
  frame.pc = raw.pc;
  frame.exact = raw.exact;
  if (module != nullptr) {
    frame.module = module->path;
    frame.build_id = module->build_id;
    frame.offset = raw.pc - module->bias;
  }
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

std::vector<std::vector<Frame>> describe(const Target& target, Symbolizer* symbolizer,
                                         std::span<const RawFrame> distinct) {
  std::vector<const SymbolizedAddress*> symbols(distinct.size(), nullptr);
  if (symbolizer != nullptr && !distinct.empty()) {
    std::vector<SymbolQuery> queries;
    queries.reserve(distinct.size());
    for (const RawFrame& frame : distinct) queries.push_back({frame.pc, frame.exact});
    symbols = symbolizer->symbolize(target, queries);
  }
  std::vector<std::vector<Frame>> described;
  described.reserve(distinct.size());
  for (std::size_t i = 0; i < distinct.size(); ++i) {
    const RawFrame& frame = distinct[i];
    // A call at the very end of a module returns to just beyond it.
    const Module* module = target.module_at(frame.exact ? frame.pc : frame.pc - 1);
    described.push_back(frames_at(frame, module, symbols[i]));
  }
  return described;
}

}  // namespace

std::vector<std::vector<Frame>> name_frames(const Target& target, Symbolizer* symbolizer,
                                            std::span<Walk> walks) {
  PcNumbers numbers;
  std::vector<std::uint32_t> number_of;  // of every frame of every walk, in order
  for (const Walk& walk : walks) {
    for (const RawFrame& frame : walk.frames) number_of.push_back(numbers.number(frame));
  }
  const std::vector<std::vector<Frame>> described = describe(target, symbolizer, numbers.frames());

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

}  // namespace coppice::inspect
