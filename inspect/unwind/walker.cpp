#include "inspect/unwind/walker.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

namespace coppice::inspect {
namespace {

constexpr std::uint64_t word = 8;

// Handlers on alternate stacks nest as deep as there are such stacks, which is once.
constexpr unsigned max_backward_signals = 4;

}  // namespace

Walker::Walker(const WalkRequest& request, std::size_t max_frames) noexcept
    : bytes_(request.stack.data()),
      start_(request.stack_start),
      limit_(std::min(request.stack_start + request.stack.size(), request.stack_stop)),
      stop_(request.stack_stop),
      base_code_(request.base_code),
      values_(request.registers.values()),
      known_(request.registers.known_mask()),
      exact_(request.exact_pc),
      max_frames_(max_frames) {
  if (limit_ < start_ || request.stack.size() > ~request.stack_start) limit_ = start_;
}

bool Walker::finish(End end) {
  end_ = end;
  return false;
}

bool Walker::finish(End end, ErrorCode code, Address address, std::string message) {
  error_ = Error{code, address, std::move(message)};
  return finish(end);
}

void Walker::abandon(Error error) {
  error_ = std::move(error);
  end_ = End::truncated;
}

inline bool Walker::read(Address address, std::uint64_t& value) const noexcept {
  if (address < start_ || address >= limit_ || limit_ - address < word) return false;
  std::memcpy(&value, bytes_ + (address - start_), word);
  return true;
}

bool Walker::unreadable(Address address) {
  if (address < start_ || address >= stop_ || stop_ - address < word) {
    return finish(End::error, ErrorCode::off_stack, address, "a frame points outside its stack");
  }
  return finish(End::truncated, ErrorCode::unreadable, std::max(address, limit_),
                "the stack's bytes are missing from here on");
}

bool Walker::start() {
  constexpr std::uint32_t needed = 1U << machine::ra | 1U << machine::sp;
  if ((known_ & needed) != needed) {
    return finish(End::truncated, ErrorCode::not_stopped, 0, "pc and sp are not known");
  }
  if (values_[machine::sp] < start_ || values_[machine::sp] > stop_) {
    return finish(End::error, ErrorCode::off_stack, values_[machine::sp], "sp lies outside the stack");
  }
  return true;
}

// What `apply` does, for a plain rule whose slots lie where they may be read; but of the callee-saved
// registers only fp is followed: hardly any frame asks for the others, and `recover` finds them when one
// does. Without branches on the rule, since which registers a function saves cannot be predicted. False:
// nothing was done.
inline bool Walker::apply_plain(const Rule& rule, RawFrame& frame) noexcept {
  const Address cfa = values_[rule.cfa_register] + static_cast<std::uint64_t>(std::int64_t{rule.offset});
  const bool fits = rule.depth != 0 && known(rule.cfa_register) && cfa > values_[machine::sp] &&
                    cfa < stop_ && cfa <= limit_ && cfa >= start_ && cfa - start_ >= rule.depth * word;
  if (!fits) return false;
  const std::byte* const top = bytes_ + (cfa - start_);
  std::uint64_t return_address = 0, saved = 0;
  std::memcpy(&return_address, top - rule.return_slot * word, word);
  if (return_address == 0) return false;
  std::memcpy(&saved, top - rule.frame_slot * word, word);
  const std::uint64_t use = 0 - std::uint64_t{rule.changed >> machine::fp & 1};
  values_[machine::fp] = (saved & use) | (values_[machine::fp] & ~use);
  frame.cfa = cfa;
  values_[machine::sp] = cfa;
  values_[machine::ra] = return_address;
  known_ = (known_ & machine::callee_saved) | (rule.changed & 1U << machine::fp) | 1U << machine::sp |
           1U << machine::ra;
  exact_ = false;
  return true;
}

// Brings the registers that plain steps did not follow up to date: each has the value that the last frame to
// save it has on the stack. `frames` ends with the frame the walk stands at.
void Walker::recover(const RuleCache& rules, std::span<const RawFrame> frames) {
  std::uint32_t wanted = machine::callee_saved & ~(1U << machine::fp);
  for (std::size_t i = frames.size() - 1; i-- > recovered_ && wanted != 0;) {
    const Rule& rule = *rules.find({frames[i].pc, frames[i].exact});  // there: this walk has used it
    for (std::uint32_t left = rule.changed & wanted; left != 0; left &= left - 1) {
      const auto number = static_cast<unsigned>(std::countr_zero(left));
      const std::uint64_t distance = word * static_cast<std::uint64_t>(std::int64_t{rule.places[number].n()});
      const bool readable = read(frames[i].cfa + distance, values_[number]);
      known_ = (known_ & ~(1U << number)) | std::uint32_t{readable} << number;
    }
    wanted &= ~rule.changed;
  }
  recovered_ = frames.size();
}

[[gnu::cold]] bool Walker::too_deep() {
  return finish(End::truncated, ErrorCode::too_deep, values_[machine::ra], "the limit of frames was reached");
}

// Appends the frame that the registers now describe.
inline bool Walker::arrive(const RuleCache& rules, std::vector<RawFrame>& frames) {
  if (frames.size() >= max_frames_) return too_deep();
  frames.push_back({.pc = values_[machine::ra], .sp = values_[machine::sp], .exact = exact_});
  rule_ = rules.find(at());
  if (rule_ != nullptr && rule_->cfa == Rule::Cfa::register_plus) {
    const Address slots = values_[rule_->cfa_register] +
                          static_cast<std::uint64_t>(std::int64_t{rule_->offset}) - rule_->depth * word;
    if (slots - start_ < limit_ - start_) __builtin_prefetch(bytes_ + (slots - start_));
  }
  return true;
}

Walker::Step Walker::step(const RuleCache& rules, std::vector<RawFrame>& frames) {
  if (end_ != End::unwalked) return Step::ended;
  if (frames.empty()) return start() && arrive(rules, frames) ? Step::moved : Step::ended;
  if (rule_ == nullptr) rule_ = rules.find(at());
  if (rule_ == nullptr) return Step::missing;
  if (!apply_plain(*rule_, frames.back()) && !apply(*rule_, rules, frames)) {
    if (not_its_own_) frames.pop_back();
    return Step::ended;
  }
  if (!arrive(rules, frames)) return Step::ended;
  return Step::moved;
}

std::optional<PcKey> Walker::advance(const RuleCache& rules, std::vector<RawFrame>& frames) {
  rule_ = nullptr;  // the cache may have changed since
  for (;;) {
    const Step done = step(rules, frames);
    if (done == Step::missing) return at();
    if (done == Step::ended) return std::nullopt;
  }
}

bool Walker::find_cfa(const Rule& rule, Address& cfa) {
  if (!known(rule.cfa_register)) {
    return finish(End::truncated, ErrorCode::not_stopped, values_[machine::ra],
                  std::string("the caller depends on ") + machine::register_names[rule.cfa_register] +
                      ", whose value is not known here");
  }
  cfa = values_[rule.cfa_register];
  if (rule.cfa == Rule::Cfa::memory_plus) {
    const Address at = cfa + static_cast<std::uint64_t>(std::int64_t{rule.slot});
    if (!read(at, cfa)) return unreadable(at);
  }
  cfa += static_cast<std::uint64_t>(std::int64_t{rule.offset});
  return true;
}

// Whether this is the frame that started the stack: its code says so, and it is no larger than frames are.
bool Walker::reaches_over_base(Address cfa) const noexcept {
  constexpr std::uint64_t largest_frame = 64 * 1024;
  const Address pc = values_[machine::ra];
  return pc > base_code_.start && pc <= base_code_.end && cfa - stop_ < largest_frame;
}

// Whether the walk may go on above this CFA.
bool Walker::accept_cfa(const Rule& rule, Address cfa) {
  const Address sp = values_[machine::sp];
  if (rule.signal_frame != 0) {
    if (cfa < start_ || cfa > stop_) {
      return finish(End::truncated, ErrorCode::off_stack, cfa, "the interrupted code ran on another stack");
    }
    if (cfa <= sp && ++backward_signals_ > max_backward_signals) {
      return finish(End::error, ErrorCode::moved_backwards, cfa, "signal frames lead in a circle");
    }
    return true;
  }
  if (cfa <= sp)
    return finish(End::error, ErrorCode::moved_backwards, cfa, "the caller's frame lies below this one");
  if (cfa < stop_) return true;
  if (cfa == stop_) return finish(End::base);
  if (reaches_over_base(cfa)) {
    not_its_own_ = true;
    return finish(End::base);
  }
  return finish(End::error, ErrorCode::off_stack, cfa, "a frame reaches over the base of its stack");
}

inline std::optional<std::uint64_t> Walker::value_of(Place place, Address cfa, std::uint64_t base,
                                                     bool base_known, Address& failed_at) const noexcept {
  const std::uint64_t distance = word * static_cast<std::uint64_t>(std::int64_t{place.n()});
  std::uint64_t value = 0;
  switch (place.kind()) {
    case Place::Kind::at_cfa:
      failed_at = cfa + distance;
      if (read(failed_at, value)) return value;
      return std::nullopt;
    case Place::Kind::at_base:
      if (!base_known) return std::nullopt;
      failed_at = base + distance;
      if (read(failed_at, value)) return value;
      return std::nullopt;
    case Place::Kind::cfa_plus:
      return cfa + distance;
    default:
      return std::nullopt;
  }
}

// Turns the registers of a frame into its caller's. False: the walk has ended.
bool Walker::apply(const Rule& rule, const RuleCache& rules, std::vector<RawFrame>& frames) {
  RawFrame& frame = frames.back();
  if (!rule.usable()) {
    error_ = unusable(rule, frame.pc);
    return finish(error_->code == ErrorCode::bad_unwind_info ? End::error : End::truncated);
  }
  frame.signal_trampoline = rule.signal_frame != 0;
  const Place ra_place = rule.places[machine::ra];
  if (ra_place.kind() == Place::Kind::undefined) return finish(End::base);
  if (rule.depth == 0) recover(rules, frames);
  Address cfa = 0;
  if (!find_cfa(rule, cfa)) return false;
  frame.cfa = cfa;
  if (!accept_cfa(rule, cfa)) return false;

  // Places refer to the values of this frame, so those that are overwritten are kept first.
  const std::uint64_t base = values_[rule.base_register];
  const bool base_known = known(rule.base_register);
  std::array<std::uint64_t, machine::register_count> before;  // NOLINT: only read where it was filled
  if (rule.reads_registers != 0) before = values_;
  const std::uint32_t known_before = known_;
  known_ = (known_ & machine::callee_saved & ~rule.changed) | 1U << machine::sp;
  for (std::uint32_t left = rule.changed; left != 0; left &= left - 1) {
    const auto number = static_cast<unsigned>(std::countr_zero(left));
    const Place place = rule.places[number];
    Address failed_at = 0;
    std::optional<std::uint64_t> value;
    if (place.kind() == Place::Kind::in_register) {
      const auto source = static_cast<unsigned>(place.n());
      if ((known_before >> source & 1) != 0) value = before[source];
    } else {
      value = value_of(place, cfa, base, base_known, failed_at);
    }
    if (value) {
      values_[number] = *value;
      known_ |= 1U << number;
    } else if (number == machine::ra) {
      if (failed_at != 0) return unreadable(failed_at);
      return finish(End::truncated, ErrorCode::not_stopped, frame.pc,
                    "the return address depends on a register whose value is not known here");
    }
  }
  values_[machine::sp] = cfa;
  exact_ = rule.signal_frame != 0;
  // A base is marked by CFI or by `stop`; a zero may as well be a stack that was wiped.
  if (values_[machine::ra] == 0) {
    return finish(End::truncated, ErrorCode::corrupt, cfa, "the return address is 0");
  }
  return true;
}

}  // namespace coppice::inspect
