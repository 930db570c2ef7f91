#include "inspect/greenlets/cpython_reading.hpp"

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

}  // namespace

CpythonReading::CpythonReading(const Target& target, const CpythonGreenlets& what, const ReadOptions& options,
                               const CpythonLimits& limits)
    : target_(target),
      memory_(target.memory()),
      what_(what),
      options_(options),
      limits_(limits),
      types_(memory_, what.layout, what.extension.type),
      ranges_(memory_) {}

std::vector<Address> CpythonReading::run(std::span<const Address> places, ProviderReading& into) {
  into_ = &into;
  if (what_.python != nullptr) {
    PythonThreads threads = read_python_threads(target_, *what_.python);
    python_threads_ = std::move(threads.threads);
    if (threads.error) into.warnings.push_back(threads.error->message);
  }
  std::vector<GreenletFields> all =
      read_greenlet_fields(memory_, what_.extension, what_.layout, types_, places);
  std::erase_if(all, [](const GreenletFields& fields) { return fields.object == 0; });
  std::vector<Address> held;
  held.reserve(all.size());
  for (const GreenletFields& fields : all) held.push_back(fields.pimpl);

  // A core never changes: what is torn in it stays torn.
  const int retries = target_.kind() == Target::Kind::live ? options_.torn_retries : 0;
  states_.emplace(target_, what_.layout, python_threads_, all);
  std::vector<GreenletFields> torn = read_round(all);
  for (int retry = 0; retry < retries && !torn.empty(); ++retry) {
    into.retried += torn.size();
    std::vector<Address> again;
    for (const GreenletFields& fields : torn) again.push_back(fields.pimpl);
    // Which of them runs is seen only together with all the others.
    all = read_greenlet_fields(memory_, what_.extension, what_.layout, types_, held);
    states_.emplace(target_, what_.layout, python_threads_, all);
    std::vector<GreenletFields> chosen;
    for (const GreenletFields& fields : all) {
      if (fields.object != 0 && std::ranges::binary_search(again, fields.pimpl)) chosen.push_back(fields);
    }
    torn = read_round(chosen);
  }
  for (const GreenletFields& fields : torn) give_up(fields);
  return held;
}

/// Returns those that changed while they were read, in their order. Those that run come last and each by
/// itself: their registers take long, and the others must not be held up.
std::vector<GreenletFields> CpythonReading::read_round(std::span<const GreenletFields> all) {
  std::vector<GreenletFields> torn;
  std::vector<const GreenletFields*> batch, running;
  std::uint64_t bytes = 0;
  for (const GreenletFields& fields : all) {
    if (states_->state(fields) == State::running) {
      running.push_back(&fields);
      continue;
    }
    batch.push_back(&fields);
    const std::uint64_t stack =
        fields.main ? fields.saved : fields.stop - std::min(fields.start, fields.stop);
    bytes += announced_per_greenlet + std::min(stack, limits_.stack);
    if (bytes < limits_.batch) continue;
    read_batch(batch, torn);
    batch.clear();
    bytes = 0;
  }
  read_batch(batch, torn);
  for (const GreenletFields* fields : running) read_batch({&fields, 1}, torn);
  std::ranges::sort(torn, {}, &GreenletFields::pimpl);
  return torn;
}

void CpythonReading::read_batch(std::span<const GreenletFields* const> batch,
                                std::vector<GreenletFields>& torn) {
  ranges_.clear();
  std::vector<Planned> plans;
  std::vector<Address> places;
  plans.reserve(batch.size());
  for (const GreenletFields* fields : batch) {
    plans.push_back(plan(*fields));
    places.push_back(fields->pimpl);
  }
  ranges_.read();
  const std::vector<GreenletFields> after =
      read_greenlet_fields(memory_, what_.extension, what_.layout, types_, places);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    Planned& planned = plans[i];
    const bool running = planned.greenlet.state == State::running;
    if (planned.changed || after[i].object == 0 || (!running && !after[i].same_switch(*planned.fields))) {
      ++into_->torn;
      torn.push_back(*planned.fields);
      continue;
    }
    finish(planned);
    into_->greenlets.push_back(std::move(planned.greenlet));
  }
}

bool CpythonReading::wants_stack(const Greenlet& greenlet) const {
  return options_.stacks && (!options_.wants_stack || options_.wants_stack(greenlet));
}

bool CpythonReading::asleep(const Greenlet& greenlet) const {
  return greenlet.state == State::suspended || greenlet.state == State::orphaned;
}

Greenlet CpythonReading::identify(const GreenletFields& fields) {
  Greenlet greenlet;
  greenlet.id = fmt::format("{:#x}", fields.object);
  greenlet.address = fields.object;
  static const Interned provider = "cpython";
  greenlet.provider = provider;
  greenlet.type = types_.name(fields.type);
  greenlet.state = states_->state(fields);
  greenlet.main = fields.main;
  if (const GreenletThread* thread = states_->thread_or_parents(fields); thread != nullptr && thread->stack) {
    greenlet.tid = thread->stack->tid;
    greenlet.nstid = thread->stack->nstid;
  }
  if (fields.parent != 0 && states_->is_known(fields.parent)) {
    greenlet.parent = fmt::format("{:#x}", fields.parent);
  }
  return greenlet;
}

CpythonReading::Planned CpythonReading::plan(const GreenletFields& fields) {
  Planned planned;
  planned.fields = &fields;
  planned.greenlet = identify(fields);
  Greenlet& greenlet = planned.greenlet;
  const GreenletThread* thread = states_->thread(fields);
  if (asleep(greenlet)) {
    greenlet.slice = {fields.start, fields.stop, fields.copy, fields.saved};
    greenlet.python = PythonPosition{fields.top_frame, fields.current_frame, fields.previous_frame};
    plan_stack(planned, thread);
  } else if (greenlet.state == State::running) {
    greenlet.slice.stop = fields.stop;
    if (wants_stack(greenlet)) copy_running(planned, thread);
  }
  return planned;
}

void CpythonReading::plan_stack(Planned& planned, const GreenletThread* thread) {
  Greenlet& greenlet = planned.greenlet;
  Slice& slice = greenlet.slice;
  if (slice.stop == UINT64_MAX) {  // a main greenlet owns its thread's stack to the end
    const bool own = thread != nullptr && thread->stack;
    slice.stop = own ? thread->stack->high : end_of_mapping(target_, slice.start);
  } else {
    greenlet.base_code = {what_.extension.module.start, what_.extension.module.end};
  }
  if (slice.stop < slice.start || slice.saved > slice.size()) {
    greenlet.error = Error{ErrorCode::corrupt, greenlet.address,
                           fmt::format("its slice cannot be: [{:#x}, {:#x}) with {} bytes saved", slice.start,
                                       slice.stop, slice.saved)};
    slice = {};
    return;
  }
  if (!wants_stack(greenlet)) return;
  if (!what_.resume.ok()) {
    greenlet.error = what_.resume.error();
    return;
  }
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

void CpythonReading::copy_running(Planned& planned, const GreenletThread* thread) {
  Greenlet& greenlet = planned.greenlet;
  if (thread == nullptr || !thread->stack) {
    greenlet.error =
        Error{ErrorCode::not_stopped, greenlet.address,
              "it is not known which thread it runs on: that thread has never switched, or is on "
              "a CPU"};
    return;
  }
  const ThreadStack& stack = *thread->stack;
  const Address stop = std::min(greenlet.slice.stop, stack.high);
  greenlet.slice.stop = stop;
  if (!planned.fields->main) {
    greenlet.base_code = {what_.extension.module.start, what_.extension.module.end};
  }
  auto registers = target_.hold(stack.tid, options_.stopping, [&](const ThreadRegisters& held) {
    if (thread->state != 0) {
      const auto state = memory_.read_value<GreenletThreadState>(thread->state);
      planned.changed = !state.ok() || state->current != planned.fields->object;
      if (planned.changed) return;
    }
    const Address sp = held.registers.sp();
    if (sp >= stop || sp < stack.low) return;
    greenlet.slice.start = sp - std::min(red_zone, sp - stack.low);
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
  if (!planned.changed && (sp >= stop || sp < stack.low)) {
    greenlet.error = Error{ErrorCode::off_stack, sp,
                           "its thread runs on another stack (a signal handler's, or not of this greenlet)"};
  }
}

void CpythonReading::finish(Planned& planned) {
  if (planned.saved == Planned::none) return;
  Greenlet& greenlet = planned.greenlet;
  const std::span<const std::byte> saved = ranges_.bytes(planned.saved);
  const std::span<const std::byte> unsaved = ranges_.bytes(planned.unsaved);
  greenlet.stack.reserve(saved.size() + unsaved.size());
  greenlet.stack.assign(saved.begin(), saved.end());
  const bool whole = saved.size() == std::min(greenlet.slice.saved, limits_.stack);
  if (whole) greenlet.stack.insert(greenlet.stack.end(), unsaved.begin(), unsaved.end());
  set_resume_registers(greenlet, *what_.resume, memory_);
}

/// What is known of a greenlet that never held still: its fields as they were last seen, each true by itself.
void CpythonReading::give_up(const GreenletFields& fields) {
  ++into_->lost;
  Greenlet greenlet = identify(fields);
  const std::string why =
      target_.kind() == Target::Kind::live
          ? fmt::format("it was switched each of the {} times it was read", options_.torn_retries + 1)
          : "its fields could not be read twice";
  greenlet.error = Error{ErrorCode::torn, greenlet.address, why};
  into_->greenlets.push_back(std::move(greenlet));
}

}  // namespace coppice::inspect
