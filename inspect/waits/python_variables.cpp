#include "inspect/waits/python_variables.hpp"

#include <algorithm>
#include <utility>

namespace coppice::inspect {

PythonVariables::PythonVariables(const PythonLayout& layout, const PythonChain& chain)
    : layout_(layout), left_(0), chain_(&chain) {}

PythonVariables::PythonVariables(const PythonLayout& layout, PythonRequest request, std::size_t most)
    : layout_(layout), request_(std::move(request)), left_(most), walk_(FrameWalk(layout_, most)) {
  walk_->begin(request_, left_);
}

void PythonVariables::find_frames(Heap& heap) {
  if (chain_ == nullptr && walk_ && heap.advance(*walk_)) chain_ = &walk_->chain();
}

Address PythonVariables::innermost_code(Heap& heap) {
  find_frames(heap);
  return chain_ != nullptr && !chain_->frames.empty() ? chain_->frames.front().code : 0;
}

const std::vector<FrameVariables>& PythonVariables::frames(Heap& heap, std::size_t wanted) {
  find_frames(heap);
  if (chain_ == nullptr) return frames_;
  const std::size_t count = std::min({wanted, most_frames, chain_->frames.size()});
  // All are asked for, so that one round of fetching serves them all.
  for (std::size_t i = frames_.size(); i < count && !cut_; ++i) {
    FrameVariables variables;
    bool readable = false;
    const bool known = heap.answered([&] { readable = read(heap, chain_->frames[i], variables); });
    if (!known || i != frames_.size()) continue;
    cut_ = !readable;
    if (readable) frames_.push_back(std::move(variables));
  }
  return frames_;
}

std::optional<FrameVariables> PythonVariables::outermost(Heap& heap) {
  find_frames(heap);
  if (chain_ == nullptr || chain_->error || chain_->frames.empty()) return std::nullopt;
  FrameVariables variables;
  return read(heap, chain_->frames.back(), variables) ? std::optional(std::move(variables)) : std::nullopt;
}

bool PythonVariables::read(Heap& heap, const RawPythonFrame& frame, FrameVariables& into) const {
  if (heap.type_name(frame.code) != "code") return heap.pending();
  const auto names = heap.word(frame.code + layout_.code.local_names);
  const auto count = names ? heap.word(*names + PythonLayout::variable_size) : std::nullopt;
  if (!count) return heap.pending();  // the others may be asked for meanwhile
  const bool object = layout_.frame_kind == FrameKind::frame_object;
  const Address first = frame.address + (object ? layout_.frame_object.locals : layout_.frame.locals);
  into.code = frame.code;
  into.values = heap.words(first, static_cast<std::size_t>(std::min<std::uint64_t>(*count, most_variables)));
  for (Address& value : into.values) value &= ~Address{3};  // since 3.14 references have marks
  return true;
}

std::string PythonVariables::function(Heap& heap) {
  if (function_) return *function_;
  const Address innermost = innermost_code(heap);
  if (innermost == 0) return {};
  const auto& code = layout_.code;
  std::string text;
  const bool known = heap.answered([&] {
    if (heap.type_name(innermost) != "code") return;
    const auto name = heap.word(innermost + (code.qualified_name != 0 ? code.qualified_name : code.name));
    if (name) text = heap.ascii(*name).value_or(std::string());
  });
  if (known) function_ = text;
  return text;
}

}  // namespace coppice::inspect
