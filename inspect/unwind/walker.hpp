// Walker: one stack, followed by rules.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inspect/unwind/rule_cache.hpp"
#include "inspect/unwind/walk.hpp"

namespace coppice::inspect {

/// Follows one stack by rules from a RuleCache, pausing where a rule is not known yet.
///
/// Guarantees, whatever the stack, the registers and the rules are: reads only the bytes of the request, and
/// none at or above stack_stop; sp rises from frame to frame, except that code interrupted by a signal may
/// have been elsewhere on the stack (a few times, for handlers on an alternate stack); at most `max_frames`
/// frames. A caller-saved register is unknown in the caller, and a rule that needs an unknown value ends the
/// walk.
class Walker {
 public:
  /// The bytes of the request must stay. Nothing is walked yet.
  Walker(const WalkRequest& request, std::size_t max_frames) noexcept;

  /// What one step came to.
  enum class Step : std::uint8_t { moved, missing, ended };

  /// Goes on by one frame, appending to `frames` (the same vector at every call) each frame it arrives at.
  /// `missing`: the rule for the last one is not known; call again when it is. Asks the memory for what the
  /// next step will read: walks that are stepped in turn do not wait for it.
  Step step(const RuleCache& rules, std::vector<RawFrame>& frames);

  /// Steps until the walk ends, or a rule is missing: then returns for which pc. Called again, it goes on.
  std::optional<PcKey> advance(const RuleCache& rules, std::vector<RawFrame>& frames);

  /// The pc of the frame it stands at.
  PcKey at() const noexcept { return {values_[machine::ra], exact_}; }

  /// How it ended: `unwalked` until `advance` returned nothing.
  End end() const noexcept { return end_; }
  const std::optional<Error>& error() const noexcept { return error_; }

  /// Ends a paused walk, as truncated, for a reason found elsewhere.
  void abandon(Error error);

 private:
  bool start();
  bool arrive(const RuleCache& rules, std::vector<RawFrame>& frames);
  bool read(Address address, std::uint64_t& value) const noexcept;
  bool apply_plain(const Rule& rule, RawFrame& frame) noexcept;
  void recover(const RuleCache& rules, std::span<const RawFrame> frames);
  bool apply(const Rule& rule, const RuleCache& rules, std::vector<RawFrame>& frames);
  bool find_cfa(const Rule& rule, Address& cfa);
  bool accept_cfa(const Rule& rule, Address cfa);
  bool reaches_over_base(Address cfa) const noexcept;
  std::optional<std::uint64_t> value_of(Place place, Address cfa, std::uint64_t base, bool base_known,
                                        Address& failed_at) const noexcept;
  bool finish(End end);
  bool finish(End end, ErrorCode code, Address address, std::string message);
  bool unreadable(Address address);
  bool too_deep();
  bool known(unsigned register_number) const noexcept { return (known_ >> register_number & 1) != 0; }

  const std::byte* bytes_;
  Address start_;  // readable: [start_, limit_), and limit_ <= stop_
  Address limit_;
  Address stop_;
  AddressRange base_code_;
  bool not_its_own_ = false;  // the last frame is of whoever started this stack
  std::array<std::uint64_t, machine::register_count> values_{};
  std::uint32_t known_ = 0;
  unsigned backward_signals_ = 0;
  std::size_t recovered_ = 0;  // frames below this number have given all their registers
  bool exact_;
  const Rule* rule_ = nullptr;  // of the last frame; null: not known when it was looked for
  std::size_t max_frames_;
  End end_ = End::unwalked;
  std::optional<Error> error_;
};

}  // namespace coppice::inspect
