#include "inspect/greenlets/cpython_copier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace coppice::inspect {
namespace {

/// What a greenlet costs besides its stack, in bytes: its fields and its Python frames, which lie apart.
constexpr std::uint64_t besides_stack = 4096;

/// Where the mapping that holds an address ends; the address itself when there is none.
Address end_of_mapping(const Target& target, Address address) {
  for (const Mapping& mapping : target.mappings()) {
    if (address >= mapping.start && address < mapping.end) return mapping.end;
  }
  return address;
}

PythonPosition position_of(const GreenletFields& fields) {
  return {fields.top_frame, fields.current_frame, fields.previous_frame};
}

std::uint64_t size_of(const GreenletFields& fields) {
  if (fields.start == 0) return 0;
  if (fields.main) return fields.saved;
  return fields.stop - std::min(fields.start, fields.stop);
}

}  // namespace

GreenletCopier::GreenletCopier(const Target& target, const CpythonGreenlets& what, const ReadOptions& options,
                               const CpythonLimits& limits, GreenletTypes& types,
                               const std::vector<PythonThread>& python)
    : target_(target),
      memory_(target.memory()),
      what_(what),
      options_(options),
      limits_(limits),
      types_(types),
      running_copier_(target, what, limits, python),
      fields_(memory_, what.extension, what.layout, types),
      ranges_(memory_),
      frames_left_(limits.all_python_frames) {
  if (what.python != nullptr) {
    chains_.emplace(memory_, what.python->layout, limits.python_frames);
  }
  static const Interned provider = "cpython";
  asked_.provider = provider;
}

std::uint64_t GreenletCopier::cost(std::span<const GreenletFields> greenlets) const {
  std::uint64_t bytes = 0;
  for (const GreenletFields& fields : greenlets) {
    bytes += besides_stack + std::min(size_of(fields), limits_.stack);
  }
  return bytes;
}

void GreenletCopier::read(std::span<const GreenletFields* const> greenlets, const GreenletStates& states,
                          const Target::StillThreads* still) {
  running_.clear();
  read_asleep(greenlets, states);
  read_running(greenlets, states, still);
}

std::vector<CopiedGreenlet> GreenletCopier::take(const GreenletStates& states) {
  std::vector<CopiedGreenlet> all;
  all.reserve(pending_.size() + running_.size());
  take_asleep(states, all);
  std::ranges::move(running_, std::back_inserter(all));
  running_.clear();
  return all;
}

std::vector<CopiedGreenlet> GreenletCopier::copy(std::span<const GreenletFields> greenlets,
                                                 const GreenletStates& states) {
  stack_bytes_ = 0;
  frames_left_ = limits_.all_python_frames;
  running_.clear();
  std::vector<CopiedGreenlet> all;
  all.reserve(greenlets.size());
  std::vector<const GreenletFields*> pointers;
  pointers.reserve(greenlets.size());
  for (const GreenletFields& fields : greenlets) pointers.push_back(&fields);
  for (auto first = pointers.begin(); first != pointers.end();) {
    std::uint64_t bytes = 0;
    auto last = first;
    do {
      bytes += cost({*last, 1});
    } while (++last != pointers.end() && bytes < limits_.batch);
    read_asleep({first, last}, states);
    take_asleep(states, all);
    first = last;
  }
  read_running(pointers, states, nullptr);
  std::ranges::move(take(states), std::back_inserter(all));
  return all;
}

void GreenletCopier::read_asleep(std::span<const GreenletFields* const> greenlets,
                                 const GreenletStates& states) {
  ranges_.clear();
  pending_.clear();
  for (const GreenletFields* fields : greenlets) {
    const State state = states.state(*fields);
    if (state != State::running) pending_.push_back(prepare(*fields, state, states));
  }
  ranges_.read();
  if (!chains_) return;
  requests_.clear();
  for (Pending& pending : pending_) {
    if (!pending.wanted) continue;
    PythonRequest& request = requests_.emplace_back();
    request.position = position_of(*pending.fields);
    request.suspended = true;
    request.stack_start = pending.slice.start;
    request.stack_stop = pending.slice.stop;
    request.stack = saved_bytes(pending.ranges);
    request.rest = unsaved_bytes(pending.ranges, pending.slice);
  }
  chains_->read(requests_, frames_left_);
}

/// They come last and each by itself: their registers take long, and the others must not be held up.
void GreenletCopier::read_running(std::span<const GreenletFields* const> greenlets,
                                  const GreenletStates& states, const Target::StillThreads* still) {
  for (const GreenletFields* fields : greenlets) {
    if (states.state(*fields) != State::running) continue;
    CopiedGreenlet& copied = running_.emplace_back(CopiedGreenlet{*fields, identify(*fields, states), false});
    copied.greenlet.slice.stop = fields->stop;
    if (wants_stack(*fields, State::running)) running_copier_.copy(copied, states, still, frames_left_);
  }
}

/// What is to be read of a greenlet that does not run.
GreenletCopier::Pending GreenletCopier::prepare(const GreenletFields& fields, State state,
                                                const GreenletStates& states) {
  Pending pending;
  pending.fields = &fields;
  pending.state = state;
  if (!asleep(state)) return pending;
  const GreenletThread* thread = states.thread(fields);
  set_slice(pending, thread);
  if (thread != nullptr && thread->unknown) {
    pending.error = Error{ErrorCode::unreadable, thread->state,
                          "what its thread runs cannot be read, so it may be this greenlet"};
  }
  pending.wanted = may_copy(pending);
  if (pending.wanted) pending.ranges = announce(pending.slice);
  return pending;
}

bool GreenletCopier::wants_stack(const GreenletFields& fields, State state) {
  if (!options_.stacks) return false;
  if (!options_.wants_stack) return true;
  asked_.id.clear();
  fmt::format_to(std::back_inserter(asked_.id), "{:#x}", fields.object);
  asked_.address = fields.object;
  asked_.state = state;
  asked_.main = fields.main;
  return options_.wants_stack(asked_);
}

Greenlet GreenletCopier::identify(const GreenletFields& fields, const GreenletStates& states) {
  Greenlet greenlet;
  greenlet.id = fmt::format("{:#x}", fields.object);
  greenlet.address = fields.object;
  greenlet.provider = asked_.provider;
  greenlet.type = types_.name(fields.type);
  greenlet.state = states.state(fields);
  greenlet.main = fields.main;
  return greenlet;
}

void GreenletCopier::relate(CopiedGreenlet& copied, const GreenletStates& states) {
  const GreenletFields& fields = copied.fields;
  Greenlet& greenlet = copied.greenlet;
  if (const GreenletThread* thread = states.thread_or_parents(fields); thread != nullptr) {
    greenlet.tid = thread->tid;
    greenlet.nstid = thread->nstid;
  }
  if (fields.parent != 0 && states.is_known(fields.parent)) {
    greenlet.parent = fmt::format("{:#x}", fields.parent);
  }
}

void GreenletCopier::set_slice(Pending& pending, const GreenletThread* thread) const {
  const GreenletFields& fields = *pending.fields;
  Slice& slice = pending.slice;
  slice = {fields.start, fields.stop, fields.copy, fields.saved};
  if (slice.stop == UINT64_MAX) {  // a main greenlet owns its thread's stack to the end
    const bool known = thread != nullptr && thread->stack;
    slice.stop = known ? thread->stack->high : end_of_mapping(target_, slice.start);
  } else {
    pending.has_base = true;
  }
  if (slice.stop >= slice.start && slice.saved <= slice.size()) return;
  pending.error = Error{ErrorCode::corrupt, fields.object,
                        fmt::format("its slice cannot be: [{:#x}, {:#x}) with {} bytes saved", slice.start,
                                    slice.stop, slice.saved)};
  slice = {};
}

/// Whether its stack is wanted, and can be had.
bool GreenletCopier::may_copy(Pending& pending) {
  if (pending.error || !wants_stack(*pending.fields, pending.state)) return false;
  if (!what_.resume.ok()) {
    pending.error = what_.resume.error();
    return false;
  }
  const std::uint64_t wanted = std::min(pending.slice.size(), limits_.stack);
  if (wanted > limits_.stacks - std::min(stack_bytes_, limits_.stacks)) {
    pending.error =
        Error{ErrorCode::truncated, pending.slice.start,
              fmt::format("not read: the stacks read before it have {} bytes already; ask for it by its id",
                          stack_bytes_)};
    return false;
  }
  stack_bytes_ += wanted;
  return true;
}

GreenletCopier::Ranges GreenletCopier::announce(const Slice& slice) {
  const std::uint64_t wanted = std::min(slice.size(), limits_.stack);
  const std::uint64_t saved = std::min(slice.saved, wanted);
  Ranges ranges;
  if (saved > 0) ranges.saved = ranges_.add(slice.copy, saved);
  if (wanted > saved) ranges.unsaved = ranges_.add(slice.start + saved, wanted - saved);
  return ranges;
}

std::span<const std::byte> GreenletCopier::saved_bytes(const Ranges& ranges) const {
  return ranges.saved != none ? ranges_.bytes(ranges.saved) : std::span<const std::byte>();
}

/// Empty when some saved byte is missing: what lies behind a gap is of no use.
std::span<const std::byte> GreenletCopier::unsaved_bytes(const Ranges& ranges, const Slice& slice) const {
  const bool whole = saved_bytes(ranges).size() == std::min({slice.saved, slice.size(), limits_.stack});
  return whole && ranges.unsaved != none ? ranges_.bytes(ranges.unsaved) : std::span<const std::byte>();
}

void GreenletCopier::take_asleep(const GreenletStates& states, std::vector<CopiedGreenlet>& into) {
  std::size_t chain = 0;
  for (Pending& pending : pending_) {
    const GreenletFields& fields = *pending.fields;
    CopiedGreenlet& copied = into.emplace_back(CopiedGreenlet{fields, identify(fields, states), false});
    Greenlet& greenlet = copied.greenlet;
    greenlet.error = std::move(pending.error);
    if (!asleep(pending.state)) continue;
    greenlet.slice = pending.slice;
    greenlet.python = position_of(fields);
    if (pending.has_base) greenlet.base_code = what_.code();
    if (!pending.wanted) continue;
    const std::span<const std::byte> saved = saved_bytes(pending.ranges);
    const std::span<const std::byte> unsaved = unsaved_bytes(pending.ranges, pending.slice);
    greenlet.stack.reserve(saved.size() + unsaved.size());
    greenlet.stack.assign(saved.begin(), saved.end());
    greenlet.stack.insert(greenlet.stack.end(), unsaved.begin(), unsaved.end());
    set_resume_registers(greenlet, *what_.resume, memory_);
    if (chains_) greenlet.python_chain = std::move(chains_->at(chain++));
  }
  pending_.clear();
}

void GreenletCopier::verify(std::span<CopiedGreenlet> copied) {
  for (auto first = copied.begin(); first != copied.end();) {
    std::uint64_t bytes = 0;
    auto last = first;
    do {
      bytes += besides_stack + last->greenlet.stack.size();
    } while (++last != copied.end() && bytes < limits_.batch);
    verify_batch({first, last});
    first = last;
  }
}

/// The Python frames, which were read last, are read first now: whatever is the same twice was so in between,
/// while the others were read.
void GreenletCopier::verify_batch(std::span<CopiedGreenlet> batch) {
  requests_.clear();
  for (const CopiedGreenlet& one : batch) {
    if (asleep(one.greenlet.state) && one.greenlet.python_chain) {
      requests_.push_back(PythonRequest::of_greenlet(one.greenlet));
    }
  }
  std::size_t left = limits_.all_python_frames;
  if (chains_) chains_->read(requests_, left);
  ranges_.clear();
  std::vector<Ranges> announced;
  std::vector<Address> places;
  for (const CopiedGreenlet& one : batch) {
    const bool has_copy = asleep(one.greenlet.state) && !one.greenlet.stack.empty();
    announced.push_back(has_copy ? announce(one.greenlet.slice) : Ranges());
    places.push_back(one.fields.pimpl);
  }
  ranges_.read();
  std::vector<GreenletFields> after;
  fields_.read(places, after);
  std::size_t chain = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    CopiedGreenlet& one = batch[i];
    if (one.greenlet.state == State::running) continue;  // looked at when its thread was held
    one.torn |= !after[i].same_switch(one.fields);
    if (asleep(one.greenlet.state) && one.greenlet.python_chain) {
      one.torn |= chains_->at(chain++).frames != one.greenlet.python_chain->frames;
    }
    if (one.greenlet.stack.empty()) continue;
    const std::span<const std::byte> saved = saved_bytes(announced[i]);
    const std::span<const std::byte> unsaved = unsaved_bytes(announced[i], one.greenlet.slice);
    const std::span<const std::byte> stack = one.greenlet.stack;
    one.torn |= stack.size() != saved.size() + unsaved.size() ||
                !std::ranges::equal(stack.first(saved.size()), saved) ||
                !std::ranges::equal(stack.subspan(saved.size()), unsaved);
  }
}

}  // namespace coppice::inspect
