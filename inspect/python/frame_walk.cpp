#include "inspect/python/frame_walk.hpp"

#include <fmt/format.h>

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

FrameWalk::FrameWalk(const PythonLayout& layout, const PythonRequest& request, std::size_t most_frames,
                     std::size_t& left)
    : layout_(layout), request_(request), most_frames_(most_frames), left_(left) {}

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
  if (!frames_.empty()) frames_.back().entry = true;  // what runs a greenlet or a thread is C
  return true;
}

FrameWalk::Step FrameWalk::start(BlockReader& blocks) {
  const PythonPosition& position = request_.position;
  if (request_.error) {
    error_ = request_.error;
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
  if (frames_.size() >= most_frames_ || left_ == 0)
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
  RawFrame frame;
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
  RawFrame frame;
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
  } else if (first_ && request_.position.previous_frame != 0) {
    add(frame);
    next_ = request_.position.previous_frame;
    return Step::done;
  } else if (request_.suspended && request_.position.previous_frame == 0) {
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
  if (address >= request_.stack_start && address < request_.stack_stop) {
    const std::uint64_t offset = address - request_.stack_start;
    if (offset > request_.stack.size() || into.size() > request_.stack.size() - offset) return Step::failed;
    std::memcpy(into.data(), request_.stack.data() + offset, into.size());
    return Step::done;
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

FrameWalk::Step FrameWalk::fail(ErrorCode code, const char* what) {
  error_ = Error{code, next_, fmt::format("{} at {:#x}", what, next_)};
  return Step::failed;
}

void FrameWalk::add(const RawFrame& frame) {
  constexpr std::size_t usual_depth = 16;
  if (frames_.empty()) frames_.reserve(usual_depth);
  frames_.push_back(frame);
  --left_;
}

/// The frames since the last entry are run by the C frame that has this entry frame.
void FrameWalk::mark_entry(Address entry_frame) {
  if (frames_.empty() || frames_.back().entry) return;
  frames_.back().entry = true;
  frames_.back().entry_frame = entry_frame;
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
