#include "inspect/unwind/rule.hpp"

#include <algorithm>

namespace coppice::inspect {

void prepare(Rule& rule) noexcept {
  constexpr int deepest = 255;
  rule.depth = 0;
  rule.return_slot = 0;
  rule.frame_slot = 0;
  const bool plain = rule.usable() && rule.cfa == Rule::Cfa::register_plus && rule.signal_frame == 0 &&
                     (rule.cfa_register == machine::sp || rule.cfa_register == machine::fp);
  if (!plain || (rule.changed & ~(machine::callee_saved | 1U << machine::ra)) != 0) return;
  for (unsigned number = 0; number < machine::register_count; ++number) {
    if ((rule.changed >> number & 1) == 0) continue;
    const Place place = rule.places[number];
    if (place.kind() != Place::Kind::at_cfa || place.n() >= 0 || place.n() < -deepest) return;
  }
  if ((rule.changed >> machine::ra & 1) == 0) return;
  rule.return_slot = static_cast<std::uint8_t>(-rule.places[machine::ra].n());
  const bool saved = (rule.changed >> machine::fp & 1) != 0;
  rule.frame_slot = saved ? static_cast<std::uint8_t>(-rule.places[machine::fp].n()) : rule.return_slot;
  rule.depth = std::max(rule.return_slot, rule.frame_slot);
}

bool is_sound(const Rule& rule) noexcept {
  if (rule.status > Rule::Status::inexpressible) return false;
  if (!rule.usable()) return true;
  if (rule.cfa > Rule::Cfa::memory_plus || rule.signal_frame > 1 || rule.reads_registers > 1) return false;
  // A rule for the return address itself must exist, and no rule starts from the pc.
  if (rule.cfa_register >= machine::ra || rule.base_register >= machine::ra) return false;
  std::uint32_t changed = 0;
  for (unsigned i = 0; i < machine::register_count; ++i) {
    const Place place = rule.places[i];
    if (place.kind() > Place::Kind::in_register) return false;
    if (place.kind() == Place::Kind::in_register && rule.reads_registers == 0) return false;
    if (place.kind() == Place::Kind::in_register &&
        (place.n() < 0 || place.n() >= static_cast<int>(machine::ra))) {
      return false;
    }
    if (place.kind() != Place::Kind::same) changed |= 1U << i;
  }
  return changed == rule.changed && (changed >> machine::ra & 1) != 0 && (changed >> machine::sp & 1) == 0;
}

Error unusable(const Rule& rule, Address pc) {
  switch (rule.status) {
    case Rule::Status::usable:
      break;
    case Rule::Status::no_unwind_info:
      return {ErrorCode::no_unwind_info, pc, "no unwind information covers this address"};
    case Rule::Status::malformed:
      return {ErrorCode::bad_unwind_info, pc, "the unwind information for this address is malformed"};
    case Rule::Status::crashed:
      return {ErrorCode::bad_unwind_info, pc,
              "reading the unwind information for this address crashed the worker"};
    case Rule::Status::stalled:
      return {ErrorCode::bad_unwind_info, pc,
              "reading the unwind information for this address does not come to an end"};
    case Rule::Status::given_up:
      return {ErrorCode::bad_unwind_info, pc,
              "not tried: the unwind information of this module stalled the worker too often"};
    case Rule::Status::inexpressible:
      return {ErrorCode::inexpressible, pc,
              "the unwind information for this address means something no rule can say"};
  }
  return {ErrorCode::corrupt, pc, "a rule in an impossible state"};
}

}  // namespace coppice::inspect
