#include "inspect/greenlets/cpython_copier.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coppice::inspect {
namespace {

/// Announced for one greenlet besides its stack, for keeping batches bounded.
constexpr std::uint64_t announced_per_greenlet = 512;

/// In an epilogue CFI still refers to slots just popped, which the psABI's red zone keeps alive.
constexpr std::uint64_t red_zone = 128;

/// Where the mapping that holds an address ends; the address itself when there is none.
Address end_of_mapping(const Target& target, Address address) {
  for (const Mapping& mapping : target.mappings()) {
    if (address >= mapping.start && address < mapping.end) return mapping.end;
  }
  return address;
}

bool asleep(const Greenlet& greenlet) {
  return greenlet.state == State::suspended || greenlet.state == State::orphaned;
}

std::uint64_t size_of(const GreenletFields& fields) {
  if (fields.main) return fields.saved;
  return fields.stop - std::min(fields.start, fields.stop);
}

}  // namespace

GreenletCopier::GreenletCopier(const Target& target, const CpythonGreenlets& what, const ReadOptions& options,
                               const CpythonLimits& limits, GreenletTypes& types)
    : target_(target),
      memory_(target.memory()),
      what_(what),
      options_(options),
      limits_(limits),
      types_(types),
      ranges_(memory_) {}

/// Those that run come last and each by itself: their registers take long, and the others must not be held
/// up.
std::vector<CopiedGreenlet> GreenletCopier::copy(std::span<const GreenletFields> greenlets,
                                                 const GreenletStates& states,
                                                 const Target::StillThreads* still) {
  std::vector<CopiedGreenlet> all;
  all.reserve(greenlets.size());
  std::vector<const GreenletFields*> batch, running;
  std::uint64_t bytes = 0;
  for (const GreenletFields& fields : greenlets) {
    if (states.state(fields) == State::running) {
      running.push_back(&fields);
      continue;
    }
    batch.push_back(&fields);
    bytes += announced_per_greenlet + std::min(size_of(fields), limits_.stack);
    if (bytes < limits_.batch) continue;
    copy_batch(batch, states, all);
    batch.clear();
    bytes = 0;
  }
  copy_batch(batch, states, all);
  for (const GreenletFields* fields : running) {
    all.push_back({*fields, identify(*fields, states), false});
    all.back().greenlet.slice.stop = fields->stop;
    if (wants_stack(all.back().greenlet)) copy_running(all.back(), states, still);
  }
  return all;
}

void GreenletCopier::copy_batch(std::span<const GreenletFields* const> batch, const GreenletStates& states,
                                std::vector<CopiedGreenlet>& into) {
  ranges_.clear();
  std::vector<Ranges> announced;
  announced.reserve(batch.size());
  const std::size_t first = into.size();
  for (const GreenletFields* fields : batch) {
    CopiedGreenlet& copied = into.emplace_back(CopiedGreenlet{*fields, identify(*fields, states), false});
    if (asleep(copied.greenlet)) set_slice(copied, states);
    const GreenletThread* thread = states.thread(*fields);
    if (asleep(copied.greenlet) && thread != nullptr && thread->unknown) {
      copied.greenlet.error = Error{ErrorCode::unreadable, thread->state,
                                    "what its thread runs cannot be read, so it may be this greenlet"};
    }
    announced.push_back(may_copy(copied) ? announce(copied) : Ranges());
  }
  ranges_.read();
  for (std::size_t i = 0; i < announced.size(); ++i) {
    if (announced[i].saved == Ranges::none) continue;
    Greenlet& greenlet = into[first + i].greenlet;
    greenlet.stack = stitched(announced[i], greenlet.slice);
    set_resume_registers(greenlet, *what_.resume, memory_);
  }
}

bool GreenletCopier::wants_stack(const Greenlet& greenlet) const {
  return options_.stacks && (!options_.wants_stack || options_.wants_stack(greenlet));
}

Greenlet GreenletCopier::identify(const GreenletFields& fields, const GreenletStates& states) {
  Greenlet greenlet;
  greenlet.id = fmt::format("{:#x}", fields.object);
  greenlet.address = fields.object;
  static const Interned provider = "cpython";
  greenlet.provider = provider;
  greenlet.type = types_.name(fields.type);
  greenlet.state = states.state(fields);
  greenlet.main = fields.main;
  if (const GreenletThread* thread = states.thread_or_parents(fields); thread != nullptr) {
    greenlet.tid = thread->tid;
    greenlet.nstid = thread->nstid;
  }
  if (fields.parent != 0 && states.is_known(fields.parent)) {
    greenlet.parent = fmt::format("{:#x}", fields.parent);
  }
  return greenlet;
}

void GreenletCopier::set_slice(CopiedGreenlet& copied, const GreenletStates& states) {
  const GreenletFields& fields = copied.fields;
  Greenlet& greenlet = copied.greenlet;
  Slice& slice = greenlet.slice;
  slice = {fields.start, fields.stop, fields.copy, fields.saved};
  greenlet.python = PythonPosition{fields.top_frame, fields.current_frame, fields.previous_frame};
  if (slice.stop == UINT64_MAX) {  // a main greenlet owns its thread's stack to the end
    const GreenletThread* thread = states.thread(fields);
    const bool known = thread != nullptr && thread->stack;
    slice.stop = known ? thread->stack->high : end_of_mapping(target_, slice.start);
  } else {
    greenlet.base_code = {what_.extension.module.start, what_.extension.module.end};
  }
  if (slice.stop >= slice.start && slice.saved <= slice.size()) return;
  greenlet.error = Error{ErrorCode::corrupt, greenlet.address,
                         fmt::format("its slice cannot be: [{:#x}, {:#x}) with {} bytes saved", slice.start,
                                     slice.stop, slice.saved)};
  slice = {};
}

/// Whether its stack is wanted, and can be had.
bool GreenletCopier::may_copy(CopiedGreenlet& copied) {
  Greenlet& greenlet = copied.greenlet;
  if (!asleep(greenlet) || greenlet.error || !wants_stack(greenlet)) return false;
  if (!what_.resume.ok()) {
    greenlet.error = what_.resume.error();
    return false;
  }
  const std::uint64_t wanted = std::min(greenlet.slice.size(), limits_.stack);
  if (wanted > limits_.stacks - std::min(stack_bytes_, limits_.stacks)) {
    greenlet.error =
        Error{ErrorCode::truncated, greenlet.slice.start,
              fmt::format("not read: the stacks read before it have {} bytes already; ask for it by its id",
                          stack_bytes_)};
    return false;
  }
  stack_bytes_ += wanted;
  return true;
}

GreenletCopier::Ranges GreenletCopier::announce(const CopiedGreenlet& copied) {
  const Slice& slice = copied.greenlet.slice;
  const std::uint64_t wanted = std::min(slice.size(), limits_.stack);
  const std::uint64_t saved = std::min(slice.saved, wanted);
  Ranges ranges;
  ranges.saved = ranges_.add(slice.copy, saved);
  ranges.unsaved = ranges_.add(slice.start + saved, wanted - saved);
  return ranges;
}

std::vector<std::byte> GreenletCopier::stitched(const Ranges& ranges, const Slice& slice) const {
  const std::span<const std::byte> saved = ranges_.bytes(ranges.saved);
  const std::span<const std::byte> unsaved = ranges_.bytes(ranges.unsaved);
  std::vector<std::byte> stack;
  stack.reserve(saved.size() + unsaved.size());
  stack.assign(saved.begin(), saved.end());
  const bool whole = saved.size() == std::min({slice.saved, slice.size(), limits_.stack});
  if (whole) stack.insert(stack.end(), unsaved.begin(), unsaved.end());
  return stack;
}

void GreenletCopier::copy_running(CopiedGreenlet& copied, const GreenletStates& states,
                                  const Target::StillThreads* still) {
  Greenlet& greenlet = copied.greenlet;
  const GreenletThread* thread = states.thread(copied.fields);
  if (thread == nullptr || !thread->stack) {
    greenlet.error = Error{ErrorCode::not_stopped, greenlet.address,
                           "it runs, but the stack of its thread could not be found"};
    return;
  }
  const pid_t tid = thread->stack->tid;
  greenlet.slice.stop = std::min(greenlet.slice.stop, thread->stack->high);
  if (!copied.fields.main) {
    greenlet.base_code = {what_.extension.module.start, what_.extension.module.end};
  }
  ThreadRegisters registers;
  if (still != nullptr && still->contains(tid)) {
    registers = still->at(tid);
    copy_held(copied, *thread, registers.registers);
  } else if (still != nullptr) {
    greenlet.error = Error{ErrorCode::not_stopped, greenlet.address,
                           fmt::format("thread {}, which runs it, could not be stopped", tid)};
    return;
  } else {
    auto held = target_.hold(tid, Stopping::never,
                             [&](const ThreadRegisters& now) { copy_held(copied, *thread, now.registers); });
    if (!held.ok()) {
      greenlet.error = std::move(held).error();
      return;
    }
    registers = *held;
  }
  greenlet.registers = registers.registers;
  greenlet.exact_pc = true;
  const Address sp = greenlet.registers.sp();
  if (!copied.torn && (sp >= greenlet.slice.stop || sp < thread->stack->low)) {
    greenlet.error = Error{ErrorCode::off_stack, sp,
                           "its thread runs on another stack (a signal handler's, or not of this greenlet)"};
  }
}

/// The thread does not run now. Does it still run this greenlet, and is it not amid a switch away from it? A
/// greenlet that runs has no top frame: it gets one when a switch begins.
void GreenletCopier::copy_held(CopiedGreenlet& copied, const GreenletThread& thread,
                               const Registers& registers) {
  Greenlet& greenlet = copied.greenlet;
  if (thread.state != 0) {
    const auto state = memory_.read_value<GreenletThreadState>(thread.state);
    copied.torn = !state.ok() || state->current != copied.fields.object;
  }
  const auto top_frame = memory_.read_value<Address>(copied.fields.pimpl + what_.layout.top_frame);
  copied.torn |= !top_frame.ok() || *top_frame != 0;
  if (copied.torn) return;
  const Address sp = registers.sp(), stop = greenlet.slice.stop;
  if (!thread.stack || sp >= stop || sp < thread.stack->low) return;
  greenlet.slice.start = sp - std::min(red_zone, sp - thread.stack->low);
  greenlet.stack.resize(std::min(stop - greenlet.slice.start, limits_.stack));
  greenlet.stack.resize(memory_.read_some(greenlet.slice.start, greenlet.stack));
}

void GreenletCopier::verify(std::span<CopiedGreenlet> copied) {
  for (auto first = copied.begin(); first != copied.end();) {
    std::uint64_t bytes = 0;
    auto last = first;
    do {
      bytes += announced_per_greenlet + last->greenlet.stack.size();
    } while (++last != copied.end() && bytes < limits_.batch);
    verify_batch({first, last});
    first = last;
  }
}

void GreenletCopier::verify_batch(std::span<CopiedGreenlet> batch) {
  ranges_.clear();
  std::vector<Ranges> announced;
  std::vector<Address> places;
  for (const CopiedGreenlet& one : batch) {
    const bool has_copy = asleep(one.greenlet) && !one.greenlet.stack.empty();
    announced.push_back(has_copy ? announce(one) : Ranges());
    places.push_back(one.fields.pimpl);
  }
  ranges_.read();
  const std::vector<GreenletFields> after =
      read_greenlet_fields(memory_, what_.extension, what_.layout, types_, places);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    CopiedGreenlet& one = batch[i];
    if (one.greenlet.state == State::running) continue;  // looked at when its thread was held
    one.torn |= !after[i].same_switch(one.fields);
    if (announced[i].saved == Ranges::none) continue;
    one.torn |= stitched(announced[i], one.greenlet.slice) != one.greenlet.stack;
  }
}

}  // namespace coppice::inspect
