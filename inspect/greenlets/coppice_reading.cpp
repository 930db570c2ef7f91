#include "inspect/greenlets/coppice_reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "inspect/greenlets/resume.hpp"

namespace coppice::inspect {
namespace {

/// Announced for one greenlet besides its stack, for keeping batches bounded.
constexpr std::uint64_t announced_per_greenlet = 1024;

std::optional<State> state_of(std::uint32_t published) {
  switch (published) {
    case COPPICE_STATE_UNSTARTED:
      return State::unstarted;
    case COPPICE_STATE_SUSPENDED:
      return State::suspended;
    case COPPICE_STATE_RUNNING:
      return State::running;
    case COPPICE_STATE_FINISHED:
      return State::finished;
    case COPPICE_STATE_ORPHANED:
      return State::orphaned;
    default:
      return std::nullopt;
  }
}

std::string text_until_nul(std::span<const std::byte> bytes) {
  const auto end = std::ranges::find(bytes, std::byte{});
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(end - bytes.begin())};
}

}  // namespace

CoppiceReading::CoppiceReading(const Target& target, const CoppiceTable& table, const ReadOptions& options,
                               const CoppiceLimits& limits)
    : target_(target),
      memory_(target.memory()),
      table_(table),
      options_(options),
      limits_(limits),
      clock_(table.fields),
      ranges_(memory_),
      versions_(memory_) {}

Result<void> CoppiceReading::run(ProviderReading& into) {
  into_ = &into;
  auto threads = CoppiceThreads::read(target_, table_, limits_.pools);
  if (!threads.ok()) return std::move(threads).error();
  threads_ = std::move(threads).value();
  auto versions = PoolCopy::read(memory_, table_.fields.greenlets,
                                 table_.address + offsetof(DebugTable, greenlets), limits_.pools);
  if (!versions.ok()) return std::move(versions).error();
  const PoolCopy slots = versions->read_once_more(memory_);
  slots_ = &slots;

  std::vector<Candidate> candidates = find_candidates(*versions, slots);
  // Those that turn out torn leave their room to their next reading.
  into.greenlets.reserve(into.greenlets.size() + candidates.size());
  std::vector<Candidate> torn;
  read_round(candidates, torn);
  // A core never changes: what is torn in it stays torn.
  const int retries = target_.kind() == Target::Kind::live ? options_.torn_retries : 0;
  for (int retry = 0; retry < retries && !torn.empty(); ++retry) {
    into.retried += torn.size();
    candidates = read_candidates(torn);
    torn.clear();
    read_round(candidates, torn);
  }
  for (const Candidate& candidate : torn) give_up(candidate);

  into.switches += threads_.switches();
  into.bytes_copied += threads_.bytes_copied();
  for (auto unreadable : {threads_.unreadable(), slots.unreadable()}) {
    if (!unreadable) continue;
    into.warnings.push_back(
        fmt::format("some greenlets may be missing: their records at {:#x} cannot be read", *unreadable));
  }
  if (unknown_states_ > 0) {
    into.warnings.push_back(
        fmt::format("{} greenlets left out: their state is none that this program knows", unknown_states_));
  }
  return {};
}

std::vector<CoppiceReading::Candidate> CoppiceReading::find_candidates(const PoolCopy& versions,
                                                                       const PoolCopy& slots) {
  const coppice_debug_greenlet_layout& layout = table_.fields.greenlet;
  std::size_t used = 0;
  for (std::size_t i = 0; i < slots.slots(); ++i) used += slots.word(i, layout.id) != 0 ? 1 : 0;
  std::vector<Candidate> candidates;
  candidates.reserve(used);
  for (std::size_t i = 0; i < slots.slots(); ++i) {
    Candidate candidate{i, versions.word(i, layout.version),
                        decode(layout, slots.address(i), slots.bytes(i))};
    if (candidate.fields.state != COPPICE_STATE_FREE) candidates.push_back(candidate);
  }
  return candidates;
}

/// Versions, then slots, of those that were torn. Those that have become free meanwhile are left out.
std::vector<CoppiceReading::Candidate> CoppiceReading::read_candidates(std::span<const Candidate> torn) {
  const coppice_debug_greenlet_layout& layout = table_.fields.greenlet;
  const std::uint32_t slot_size = table_.fields.greenlets.slot_size;
  versions_.clear();
  ranges_.clear();
  for (const Candidate& candidate : torn) {
    versions_.add(candidate.fields.address + layout.version, sizeof(std::uint64_t));
    ranges_.add(candidate.fields.address, slot_size);
  }
  versions_.read();
  ranges_.read();
  std::vector<Candidate> again;
  for (std::size_t i = 0; i < torn.size(); ++i) {
    Candidate candidate = torn[i];
    const std::optional<std::uint64_t> version = versions_.word(i);
    if (version && ranges_.bytes(i).size() == slot_size) {
      candidate.version = *version;
      candidate.fields = decode(layout, candidate.fields.address, ranges_.bytes(i));
      if (candidate.fields.state == COPPICE_STATE_FREE) continue;
    }
    again.push_back(candidate);
  }
  return again;
}

/// Those that run come last and each by itself: their registers take long, and the others must not be held
/// up.
void CoppiceReading::read_round(std::vector<Candidate>& candidates, std::vector<Candidate>& torn) {
  const auto runs = [](const Candidate& candidate) {
    return candidate.fields.state == COPPICE_STATE_RUNNING;
  };
  std::vector<Candidate> running;
  std::ranges::copy_if(candidates, std::back_inserter(running), runs);
  std::erase_if(candidates, runs);
  for (auto first = candidates.begin(); first != candidates.end();) {
    std::uint64_t bytes = 0;
    auto last = first;
    do {
      const GreenletSlot& fields = last->fields;
      const std::uint64_t stack = fields.stop > fields.start ? fields.stop - fields.start : 0;
      bytes += announced_per_greenlet + std::min(stack, limits_.stack);
    } while (++last != candidates.end() && bytes < limits_.batch);
    read_batch({first, last}, torn);
    first = last;
  }
  for (const Candidate& one : running) read_batch({&one, 1}, torn);
}

void CoppiceReading::read_batch(std::span<const Candidate> batch, std::vector<Candidate>& torn) {
  std::vector<Greenlet>& greenlets = into_->greenlets;  // has room for all: references into it stay valid
  std::vector<Planned> plans;
  plans.reserve(batch.size());
  ranges_.clear();
  versions_.clear();
  for (const Candidate& candidate : batch) {
    const bool known = state_of(candidate.fields.state).has_value();
    const bool changed = candidate.version % 2 != 0 || candidate.version != candidate.fields.version;
    if (changed) {
      ++into_->torn;
      torn.push_back(candidate);
    } else if (!known) {
      ++unknown_states_;
    } else {
      plans.push_back(plan(candidate, greenlets.emplace_back()));
    }
  }
  ranges_.read();
  versions_.read();
  std::size_t kept = greenlets.size() - plans.size();
  for (Planned& planned : plans) {
    if (versions_.word(planned.version_after) != planned.candidate->version) {
      ++into_->torn;
      torn.push_back(*planned.candidate);
      continue;
    }
    finish(planned);
    if (&planned.greenlet != &greenlets[kept]) greenlets[kept] = std::move(planned.greenlet);
    ++kept;
  }
  greenlets.resize(kept);
}

Greenlet CoppiceReading::identify(const GreenletSlot& fields) {
  Greenlet greenlet;
  greenlet.id = fmt::to_string(fields.id);
  greenlet.address = fields.address;
  static const Interned type = "coppice::Greenlet", provider = "coppice";
  greenlet.type = type;
  greenlet.provider = provider;
  greenlet.state = state_of(fields.state).value_or(State::unstarted);
  greenlet.main = (fields.flags & COPPICE_FLAG_MAIN) != 0;
  if (const CoppiceThread* thread = threads_.at(fields.thread)) {
    greenlet.tid = thread->tid;
    greenlet.nstid = thread->nstid;
  }
  if (const auto parent = slots_->slot_at(fields.parent)) {
    const std::uint64_t id = slots_->word(*parent, table_.fields.greenlet.id);
    if (id != 0) greenlet.parent = fmt::to_string(id);
  }
  greenlet.spawn_pc = fields.spawn_pc;
  if (fields.spawner != 0) greenlet.spawner = fmt::to_string(fields.spawner);
  greenlet.switches = fields.switches;
  greenlet.bytes_saved = fields.bytes_saved;
  greenlet.bytes_restored = fields.bytes_restored;
  greenlet.last_switch = fields.last_switch;
  greenlet.last_switch_unix_ns = clock_.unix_ns(fields.last_switch);
  return greenlet;
}

bool CoppiceReading::wants_stack(const Greenlet& greenlet) const {
  return options_.stacks && (!options_.wants_stack || options_.wants_stack(greenlet));
}

CoppiceReading::Planned CoppiceReading::plan(const Candidate& candidate, Greenlet& greenlet) {
  const GreenletSlot& fields = candidate.fields;
  Planned planned{.candidate = &candidate, .greenlet = greenlet};
  greenlet = identify(fields);
  if (fields.name != 0) planned.name = ranges_.add(fields.name, limits_.name);
  if (fields.waiting_kind != 0) {
    planned.waiting_kind = ranges_.add(fields.waiting_kind, limits_.name);
    planned.greenlet.waiting = Waiting{{}, fields.waiting_value};
  }
  const CoppiceThread* thread = threads_.at(fields.thread);
  if (asleep(planned.greenlet.state)) {
    planned.greenlet.slice = {fields.start, fields.stop, fields.copy, fields.saved};
    plan_stack(planned, thread);
  } else if (planned.greenlet.state == State::running) {
    planned.greenlet.slice.stop = fields.stop;
    if (fields.stop == UINT64_MAX)
      planned.greenlet.slice.stop = thread != nullptr ? thread->slot.stack_high : 0;
    if (wants_stack(planned.greenlet)) copy_running(planned.greenlet, thread);
  }
  planned.version_after =
      versions_.add(fields.address + table_.fields.greenlet.version, sizeof(std::uint64_t));
  return planned;
}

void CoppiceReading::plan_stack(Planned& planned, const CoppiceThread* thread) {
  Greenlet& greenlet = planned.greenlet;
  Slice& slice = greenlet.slice;
  if (slice.stop == UINT64_MAX) {  // a main greenlet owns its thread's stack to the end
    if (thread == nullptr) {
      slice.stop = slice.start + std::min(slice.saved, UINT64_MAX - slice.start);
    } else {
      slice.stop = thread->slot.stack_high;
    }
  }
  if (slice.stop < slice.start || slice.saved > slice.size()) {
    greenlet.error = Error{ErrorCode::corrupt, greenlet.address,
                           fmt::format("its slice cannot be: [{:#x}, {:#x}) with {} bytes saved", slice.start,
                                       slice.stop, slice.saved)};
    slice = {};
    return;
  }
  if (!wants_stack(greenlet)) return;
  const std::uint64_t wanted = std::min(slice.size(), limits_.stack);
  if (wanted > limits_.stacks - std::min(stack_bytes_, limits_.stacks)) {
    greenlet.error =
        Error{ErrorCode::truncated, slice.start,
              fmt::format("not read: the stacks read before it have {} bytes already; ask for it by its id",
                          stack_bytes_)};
    return;
  }
  stack_bytes_ += wanted;
  const std::uint64_t saved = std::min(slice.saved, wanted);
  planned.saved = ranges_.add(slice.copy, saved);
  planned.unsaved = ranges_.add(slice.start + saved, wanted - saved);
}

void CoppiceReading::copy_running(Greenlet& greenlet, const CoppiceThread* thread) {
  if (thread == nullptr || !thread->tid) {
    greenlet.error = Error{ErrorCode::gone, greenlet.address, "the thread it runs on is not there"};
    return;
  }
  const Address stop = greenlet.slice.stop;
  auto registers = target_.hold(*thread->tid, options_.stopping, [&](const ThreadRegisters& held) {
    const Address sp = held.registers.sp();
    if (sp >= stop || sp < thread->slot.stack_low) return;
    // In an epilogue CFI still refers to slots just popped, which the psABI's red zone keeps alive.
    constexpr std::uint64_t red_zone = 128;
    greenlet.slice.start = sp - std::min(red_zone, sp - thread->slot.stack_low);
    greenlet.stack.resize(std::min(stop - greenlet.slice.start, limits_.stack));
    greenlet.stack.resize(memory_.read_some(greenlet.slice.start, greenlet.stack));
  });
  if (!registers.ok()) {
    greenlet.error = std::move(registers).error();
    return;
  }
  greenlet.registers = registers->registers;
  greenlet.exact_pc = true;
  const Address sp = greenlet.registers.sp();
  if (sp >= stop || sp < thread->slot.stack_low) {
    greenlet.error = Error{ErrorCode::off_stack, sp,
                           "its thread runs on another stack (a signal handler's, or not of this greenlet)"};
  }
}

void CoppiceReading::finish(Planned& planned) {
  Greenlet& greenlet = planned.greenlet;
  if (planned.name != Planned::none) greenlet.name = text_until_nul(ranges_.bytes(planned.name));
  if (planned.waiting_kind != Planned::none && greenlet.waiting) {
    greenlet.waiting->kind = text_until_nul(ranges_.bytes(planned.waiting_kind));
  }
  if (planned.saved != Planned::none) {
    const std::span<const std::byte> saved = ranges_.bytes(planned.saved);
    const std::span<const std::byte> unsaved = ranges_.bytes(planned.unsaved);
    greenlet.stack.reserve(saved.size() + unsaved.size());
    greenlet.stack.assign(saved.begin(), saved.end());
    const bool whole = saved.size() == std::min(greenlet.slice.saved, limits_.stack);
    if (whole) greenlet.stack.insert(greenlet.stack.end(), unsaved.begin(), unsaved.end());
    set_resume_registers(greenlet, table_.fields);
  }
}

/// What is known of a greenlet that never held still: its fields as they were last seen, each true by itself.
/// Its name is believed when the slot still has the same id and name afterwards.
void CoppiceReading::give_up(const Candidate& candidate) {
  if (!state_of(candidate.fields.state)) return;
  ++into_->lost;
  Greenlet greenlet = identify(candidate.fields);
  if (candidate.fields.name != 0) {
    const auto name = memory_.read_string(candidate.fields.name, limits_.name);
    const std::vector<Candidate> after = read_candidates({&candidate, 1});
    const bool same = after.size() == 1 && after[0].fields.id == candidate.fields.id &&
                      after[0].fields.name == candidate.fields.name;
    if (name.ok() && same) greenlet.name = *name;
  }
  const std::string why =
      target_.kind() == Target::Kind::live
          ? fmt::format("it was switched each of the {} times it was read", options_.torn_retries + 1)
          : fmt::format("the process stood still amid a switch of it (version {} is odd)", candidate.version);
  greenlet.error = Error{ErrorCode::torn, greenlet.address, why};
  into_->greenlets.push_back(std::move(greenlet));
}

}  // namespace coppice::inspect
