#include "inspect/python/python_frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "inspect/python/code_cache.hpp"
#include "inspect/python/frame_walk.hpp"

namespace coppice::inspect {
namespace {

/// So many stacks are read side by side, which bounds what is in memory at once.
constexpr std::size_t side_by_side = std::size_t{1} << 14U;
constexpr std::int64_t code_unit = 2;  // bytes

/// Bytes from the beginning of the code to the instruction.
std::int64_t offset_of(const PythonLayout& layout, const RawFrame& frame) {
  const auto last = static_cast<std::int64_t>(frame.instruction);
  switch (layout.line_table) {
    case LineTable::lnotab:
      return last;
    case LineTable::ranges:
      return last * code_unit;
    case LineTable::locations:
      break;
  }
  return static_cast<std::int64_t>(frame.instruction - frame.code - layout.code.instructions);
}

/// Whether the evaluator has begun the frame: CPython's own tools do not show one that it has not
/// (_PyFrame_IsIncomplete).
bool is_complete(const RawFrame& frame, const CodeInfo& code, std::int64_t offset) {
  return frame.owner == PythonLayout::generator_owner || offset >= code.first_traceable * code_unit;
}

/// Gives the frames their names. Frames that are not shown leave their mark to the next inner one of the same
/// run.
PythonStack name_frames(const PythonLayout& layout, CodeCache& codes, FrameWalk& walk) {
  PythonStack stack;
  stack.error = std::move(walk.error());
  stack.frames.reserve(walk.frames().size());
  for (const RawFrame& raw : walk.frames()) {
    CodeInfo& code = codes.at(raw.code);
    if (code.kind == CodeInfo::Kind::not_code) {
      stack.error = Error{ErrorCode::corrupt, raw.address,
                          fmt::format("the Python frame at {:#x} has no code object but what is at {:#x}",
                                      raw.address, raw.code)};
      break;
    }
    const std::int64_t offset = offset_of(layout, raw);
    const bool known = code.kind == CodeInfo::Kind::known;
    if (known && code.size != 0 && !is_complete(raw, code, offset)) {
      if (raw.entry && !stack.frames.empty() && !stack.frames.back().entry) {
        stack.frames.back().entry = true;
        stack.frames.back().entry_frame = raw.entry_frame;
      }
      continue;
    }
    PythonFrame& frame = stack.frames.emplace_back();
    frame.address = raw.address;
    frame.code = raw.code;
    frame.function = code.function;
    frame.file = code.file;
    frame.entry = raw.entry;
    frame.entry_frame = raw.entry_frame;
    const bool inside = code.size == 0 || (offset < code.size && offset % code_unit == 0);
    if (known && inside) frame.line = code.line(layout.line_table, offset);
  }
  return stack;
}

}  // namespace

PythonRequest PythonRequest::of_greenlet(const Greenlet& greenlet) {
  PythonRequest request;
  request.position = greenlet.python.value_or(PythonPosition{});
  request.suspended = true;
  request.stack_start = greenlet.slice.start;
  request.stack_stop = greenlet.slice.stop;
  request.stack = greenlet.stack;
  return request;
}

PythonRequest PythonRequest::of_thread(const PythonThread& thread, Address stack_start,
                                       std::span<const std::byte> stack) {
  PythonRequest request;
  // Which of the two it is depends on the version; the other is not looked at.
  request.position.top_frame = thread.frame;
  request.position.current_frame = thread.frame;
  request.error = thread.error;
  request.stack_start = stack_start;
  request.stack_stop = stack_start + stack.size();
  request.stack = stack;
  return request;
}

struct PythonReader::State {
  PythonRuntime python;
  PythonLimits limits;
  CodeCache codes{python, limits};

  std::vector<FrameWalk> walk(const Memory& memory, std::span<const PythonRequest> requests,
                              std::size_t& left) const;
};

/// Takes all chains to their ends, side by side. `left`: how many frames may still be read.
std::vector<FrameWalk> PythonReader::State::walk(const Memory& memory,
                                                 std::span<const PythonRequest> requests,
                                                 std::size_t& left) const {
  std::vector<FrameWalk> walks;
  walks.reserve(requests.size());
  std::vector<FrameWalk*> going;
  going.reserve(requests.size());
  for (const PythonRequest& request : requests) {
    going.push_back(&walks.emplace_back(python.layout, request, limits.frames, left));
  }
  BlockReader blocks(memory, 2 * requests.size());
  while (!going.empty()) {
    std::erase_if(going, [&](FrameWalk* walk) { return walk->advance(blocks); });
    blocks.fetch();
  }
  return walks;
}

PythonReader::PythonReader(PythonRuntime runtime, PythonLimits limits)
    : state_(new State{std::move(runtime), limits}) {}
PythonReader::~PythonReader() = default;
PythonReader::PythonReader(PythonReader&&) noexcept = default;
PythonReader& PythonReader::operator=(PythonReader&&) noexcept = default;

const PythonRuntime& PythonReader::runtime() const noexcept {
  return state_->python;
}

std::vector<PythonStack> PythonReader::read_all(const Memory& memory,
                                                std::span<const PythonRequest> requests) {
  std::vector<PythonStack> stacks;
  stacks.reserve(requests.size());
  std::size_t left = state_->limits.all_frames;
  while (!requests.empty()) {
    const auto some = requests.first(std::min(requests.size(), side_by_side));
    requests = requests.subspan(some.size());
    std::vector<FrameWalk> walks = state_->walk(memory, some, left);
    std::vector<Address> codes;
    for (FrameWalk& walk : walks) {
      for (const RawFrame& frame : walk.frames()) codes.push_back(frame.code);
    }
    state_->codes.update(memory, std::move(codes));
    for (FrameWalk& walk : walks) {
      stacks.push_back(name_frames(state_->python.layout, state_->codes, walk));
    }
  }
  return stacks;
}

PythonStack PythonReader::read(const Memory& memory, const PythonRequest& request) {
  return std::move(read_all(memory, {&request, 1}).front());
}

}  // namespace coppice::inspect
