#include "inspect/python/frame_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace coppice::inspect {
namespace {

/// The largest piece of a frame that is read at once.
constexpr std::size_t largest_frame = 0x80;
/// How many frames of the evaluator, and frames it has not begun yet, may lie between two others.
constexpr int most_hidden = 64;

template <class T>
T value_at(std::span<const std::byte> bytes, std::size_t offset) {
  T value{};
  if (offset + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// Since 3.14 references to objects have marks in their lowest two bits.
Address untagged(Address reference) {
  return reference & ~Address{3};
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

FrameWalk::FrameWalk(const PythonLayout& layout, std::size_t most_frames)
    : layout_(layout), most_frames_(most_frames) {}

void FrameWalk::begin(const PythonRequest& request, std::size_t& left) {
  request_ = &request;
  left_ = &left;
  next_ = anchor_ = 0;
  started_ = false;
  first_ = true;
  steps_ = 0;
  power_ = 1;
  chain_.frames.clear();
  chain_.error.reset();
}

bool FrameWalk::advance(BlockReader& blocks) {
  if (!started_) {
    const Step step = start(blocks);
    if (step == Step::blocked) return false;
    if (step == Step::failed) return true;
    started_ = true;
  }
  while (next_ != 0) {
    const Step taken = step(blocks);
    if (taken == Step::blocked) return false;
    if (taken == Step::failed) return true;
    first_ = false;
    if (circles()) {
      fail(ErrorCode::corrupt, "the chain of Python frames turns in a circle");
      return true;
    }
  }
  if (!chain_.frames.empty()) chain_.frames.back().entry = true;  // what runs a greenlet or a thread is C
  return true;
}

FrameWalk::Step FrameWalk::start(BlockReader& blocks) {
  const PythonPosition& position = request_->position;
  if (request_->error) {
    chain_.error = request_->error;
    return Step::failed;
  }
  if (layout_.frame_kind == FrameKind::frame_object) {
    next_ = position.top_frame;
    return Step::done;
  }
  next_ = position.current_frame;
  if (next_ != 0 || position.top_frame == 0) return Step::done;
  const Step step = read(blocks, position.top_frame + layout_.frame_object.frame,
                         std::as_writable_bytes(std::span(&next_, 1)));
  if (step == Step::failed) {
    next_ = position.top_frame;
    return fail(ErrorCode::unreadable, "cannot read the Python frame object");
  }
  return step;
}

FrameWalk::Step FrameWalk::step(BlockReader& blocks) {
  if (chain_.frames.size() >= most_frames_ || *left_ == 0)
    return fail(ErrorCode::too_deep, "more Python frames than are shown");
  if (next_ % alignof(Address) != 0) return fail(ErrorCode::corrupt, "no Python frame can be");
  return layout_.frame_kind == FrameKind::frame_object ? read_frame_object(blocks) : read_frame(blocks);
}

FrameWalk::Step FrameWalk::read_frame_object(BlockReader& blocks) {
  std::array<std::byte, largest_frame> bytes;  // NOLINT: filled by the read
  const auto& offsets = layout_.frame_object;
  const auto words = std::span(bytes).first(offsets.last + sizeof(std::int32_t));
  const Step got = read(blocks, next_, words);
  if (got == Step::failed) return fail(ErrorCode::unreadable, "cannot read the Python frame");
  if (got == Step::blocked) return got;
  RawPythonFrame frame;
  frame.address = next_;
  frame.code = value_at<Address>(words, offsets.code);
  frame.instruction = static_cast<std::uint64_t>(std::int64_t{value_at<std::int32_t>(words, offsets.last)});
  frame.entry = true;
  add(frame);
  next_ = value_at<Address>(words, offsets.back);
  return Step::done;
}

FrameWalk::Step FrameWalk::read_frame(BlockReader& blocks) {
  std::array<std::byte, largest_frame> bytes;  // NOLINT: filled by the read
  const auto& offsets = layout_.frame;
  const auto words = std::span(bytes).first(offsets.size);
  const Step got = read(blocks, next_, words);
  if (got == Step::failed) return fail(ErrorCode::unreadable, "cannot read the Python frame");
  if (got == Step::blocked) return got;
  const auto previous = value_at<Address>(words, offsets.previous);
  RawPythonFrame frame;
  frame.address = next_;
  frame.owner = value_at<std::uint8_t>(words, offsets.owner);
  frame.code = untagged(value_at<Address>(words, offsets.code));
  frame.instruction = value_at<std::uint64_t>(words, offsets.instruction);
  if (layout_.frame_kind == FrameKind::marked) {
    frame.entry = value_at<std::uint8_t>(words, offsets.is_entry) != 0;
  } else if (frame.owner >= PythonLayout::first_entry_owner) {
    mark_entry(next_);
    next_ = previous;
    return Step::done;
  } else if (first_ && request_->position.previous_frame != 0) {
    add(frame);
    next_ = request_->position.previous_frame;
    return Step::done;
  } else if (request_->suspended && request_->position.previous_frame == 0) {
    const auto frame_object = value_at<Address>(words, offsets.frame_object);
    const Step marked = real_entry(blocks, frame_object, previous, frame.entry_frame);
    if (marked == Step::blocked) return marked;
    frame.entry = frame.entry_frame != 0;
  }
  add(frame);
  next_ = previous;
  return Step::done;
}

/// Follows the link that greenlet has replaced by `shown`. Sets `entry_frame` to the first entry frame on
/// that way; leaves it when there is none, or when the way does not lead to `shown`.
FrameWalk::Step FrameWalk::real_entry(BlockReader& blocks, Address frame_object, Address shown,
                                      Address& entry_frame) {
  if (frame_object == 0) return Step::done;
  Address at = 0;
  Step got = read(blocks, frame_object + layout_.frame_object.real_previous,
                  std::as_writable_bytes(std::span(&at, 1)));
  Address first_entry = 0;
  for (int hidden = 0; got == Step::done && at != shown; ++hidden) {
    if (at == 0 || at % alignof(Address) != 0 || hidden == most_hidden) return Step::failed;
    std::array<std::byte, largest_frame> bytes;  // NOLINT: filled by the read
    const auto words = std::span(bytes).first(layout_.frame.size);
    got = read(blocks, at, words);
    if (got != Step::done) break;
    const bool entry = value_at<std::uint8_t>(words, layout_.frame.owner) >= PythonLayout::first_entry_owner;
    if (entry && first_entry == 0) first_entry = at;
    at = value_at<Address>(words, layout_.frame.previous);
  }
  if (got == Step::done) entry_frame = first_entry;
  return got;
}

/// Addresses on the greenlet's C stack are read from its bytes, never from the target.
FrameWalk::Step FrameWalk::read(BlockReader& blocks, Address address, std::span<std::byte> into) const {
  if (address >= request_->stack_start && address < request_->stack_stop) {
    return read_stack(address - request_->stack_start, into) ? Step::done : Step::failed;
  }
  switch (blocks.find(address, into)) {
    case BlockReader::Found::ready:
      return Step::done;
    case BlockReader::Found::wanted:
      return Step::blocked;
    case BlockReader::Found::unreadable:
      break;
  }
  return Step::failed;
}

bool FrameWalk::read_stack(std::uint64_t offset, std::span<std::byte> into) const {
  for (std::span<const std::byte> piece : {request_->stack, request_->rest}) {
    if (offset >= piece.size()) {
      offset -= piece.size();
      continue;
    }
    piece = piece.subspan(offset);
    const std::size_t size = std::min(piece.size(), into.size());
    std::memcpy(into.data(), piece.data(), size);
    into = into.subspan(size);
    offset = 0;
  }
  return into.empty();
}

FrameWalk::Step FrameWalk::fail(ErrorCode code, const char* what) {
  chain_.error = Error{code, next_, fmt::format("{} at {:#x}", what, next_)};
  return Step::failed;
}

void FrameWalk::add(const RawPythonFrame& frame) {
  constexpr std::size_t usual_depth = 16;
  if (chain_.frames.empty()) chain_.frames.reserve(usual_depth);
  chain_.frames.push_back(frame);
  --*left_;
}

/// The frames since the last entry are run by the C frame that has this entry frame.
void FrameWalk::mark_entry(Address entry_frame) {
  if (chain_.frames.empty() || chain_.frames.back().entry) return;
  chain_.frames.back().entry = true;
  chain_.frames.back().entry_frame = entry_frame;
}

bool FrameWalk::circles() {
  if (next_ == 0) return false;
  if (next_ == anchor_) return true;
  if (++steps_ == power_) {
    steps_ = 0;
    power_ *= 2;
    anchor_ = next_;
  }
  return false;
}

}  // namespace coppice::inspect
