#include "inspect/waits/python_variables.hpp"

#include <algorithm>
#include <utility>

namespace coppice::inspect {

PythonVariables::PythonVariables(const PythonLayout& layout, PythonRequest request)
    : layout_(layout), request_(std::move(request)), walk_(layout_, most_frames) {
  walk_.begin(request_, left_);
}

const std::vector<FrameVariables>& PythonVariables::frames(Heap& heap) {
  if (!walked_) walked_ = heap.advance(walk_);
  if (!walked_ || done_) return frames_;
  std::vector<FrameVariables> frames;
  done_ = heap.answered([&] {
    for (const RawPythonFrame& frame : walk_.chain().frames) {
      FrameVariables variables;
      if (!read(heap, frame, variables)) break;
      frames.push_back(std::move(variables));
    }
  });
  if (done_) frames_ = std::move(frames);
  return frames_;
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
  const auto& all = frames(heap);
  if (all.empty()) return {};
  const auto& code = layout_.code;
  const auto name =
      heap.word(all.front().code + (code.qualified_name != 0 ? code.qualified_name : code.name));
  return name ? heap.ascii(*name).value_or(std::string()) : std::string();
}

}  // namespace coppice::inspect
