#include "inspect/python/python_frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "inspect/python/code_cache.hpp"

namespace coppice::inspect {
namespace {

constexpr std::int64_t code_unit = 2;  // bytes

/// Bytes from the beginning of the code to the instruction.
std::int64_t offset_of(const PythonLayout& layout, const RawPythonFrame& frame) {
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
bool is_complete(const RawPythonFrame& frame, const CodeInfo& code, std::int64_t offset) {
  return frame.owner == PythonLayout::generator_owner || offset >= code.first_traceable * code_unit;
}

/// Gives the frames their names. Frames that are not shown leave their mark to the next inner one of the same
/// run.
PythonStack name_frames(const PythonLayout& layout, CodeCache& codes, const PythonChain& chain) {
  PythonStack stack;
  stack.error = chain.error;
  stack.frames.reserve(chain.frames.size());
  for (const RawPythonFrame& raw : chain.frames) {
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

struct PythonReader::State {
  PythonRuntime python;
  PythonLimits limits;
  CodeCache codes{python, limits};
};

PythonReader::PythonReader(PythonRuntime runtime, PythonLimits limits)
    : state_(new State{std::move(runtime), limits}) {}
PythonReader::~PythonReader() = default;
PythonReader::PythonReader(PythonReader&&) noexcept = default;
PythonReader& PythonReader::operator=(PythonReader&&) noexcept = default;

const PythonRuntime& PythonReader::runtime() const noexcept {
  return state_->python;
}

std::vector<PythonStack> PythonReader::name_all(const Memory& memory,
                                                std::span<const PythonChain* const> chains) {
  std::vector<Address> codes;
  for (const PythonChain* chain : chains) {
    for (const RawPythonFrame& frame : chain->frames) codes.push_back(frame.code);
  }
  state_->codes.update(memory, std::move(codes));
  std::vector<PythonStack> stacks;
  stacks.reserve(chains.size());
  for (const PythonChain* chain : chains) {
    stacks.push_back(name_frames(state_->python.layout, state_->codes, *chain));
  }
  return stacks;
}

std::vector<PythonStack> PythonReader::read_all(const Memory& memory,
                                                std::span<const PythonRequest> requests) {
  PythonChains chains(memory, state_->python.layout, state_->limits.frames);
  std::size_t left = state_->limits.all_frames;
  chains.read(requests, left);
  std::vector<const PythonChain*> all;
  all.reserve(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) all.push_back(&chains.at(i));
  return name_all(memory, all);
}

PythonStack PythonReader::read(const Memory& memory, const PythonRequest& request) {
  return std::move(read_all(memory, {&request, 1}).front());
}

}  // namespace coppice::inspect
