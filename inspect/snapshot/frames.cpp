#include "inspect/snapshot/frames.hpp"

namespace coppice::inspect {

void FrameNamer::learn(std::span<const Walk> walks) {
  std::vector<SymbolQuery> queries;
  std::vector<std::uint64_t> keys;
  for (const Walk& walk : walks) {
    for (const RawFrame& frame : walk.frames) {
      const auto [entry, is_new] = named_.try_emplace(key(frame));
      if (!is_new) continue;
      // A call at the very end of a module returns to just beyond it.
      entry->second.module = target_.module_at(frame.exact ? frame.pc : frame.pc - 1);
      queries.push_back({frame.pc, frame.exact});
      keys.push_back(key(frame));
    }
  }
  if (symbolizer_ == nullptr || queries.empty()) return;
  const std::vector<const SymbolizedAddress*> answers = symbolizer_->symbolize(target_, queries);
  for (std::size_t i = 0; i < answers.size(); ++i) named_[keys[i]].symbols = answers[i];
}

std::vector<Frame> FrameNamer::frames(const Walk& walk) const {
  std::vector<Frame> frames;
  frames.reserve(walk.frames.size());
  for (const RawFrame& raw : walk.frames) {
    Frame frame;
    frame.pc = raw.pc;
    frame.sp = raw.sp;
    frame.exact = raw.exact;
    frame.signal_trampoline = raw.signal_trampoline;
    const auto found = named_.find(key(raw));
    const Named named = found != named_.end() ? found->second : Named{};
    if (named.module != nullptr) {
      frame.module = named.module->path;
      frame.build_id = named.module->build_id;
      frame.offset = raw.pc - named.module->bias;
    }
    if (named.symbols == nullptr || named.symbols->frames.empty()) {
      frames.push_back(std::move(frame));
      continue;
    }
    for (const SourceFrame& source : named.symbols->frames) {
      Frame expanded = frame;
      expanded.function = source.function;
      expanded.file = source.file;
      expanded.line = source.line;
      expanded.inlined = source.inlined;
      frames.push_back(std::move(expanded));
    }
  }
  return frames;
}

}  // namespace coppice::inspect
