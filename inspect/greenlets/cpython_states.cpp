#include "inspect/greenlets/cpython_states.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace coppice::inspect {
namespace {

constexpr int most_parents = 10'000;
constexpr std::size_t thread_state_size = 0x200;  // of a PyThreadState, as far as its dict may lie

/// Where a greenlet's stack is known to have been, or 0.
Address on_stack(const GreenletFields& fields) {
  constexpr Address never_switched_away = 1;
  if (!fields.main) return fields.start != 0 && fields.stop != 0 ? fields.stop - 1 : 0;
  return fields.start > never_switched_away ? fields.start : 0;
}

}  // namespace

GreenletStates::GreenletStates(const Target& target, const GreenletExtension& extension,
                               std::span<const PythonThread> python, const ThreadStacks& stacks,
                               std::span<const GreenletFields> all)
    : flat_(extension.flat()), all_(all) {
  if (flat_) {
    find_threads_by_dict(target.memory(), python);
  } else {
    find_threads_by_state(target.memory());
  }
  find_stacks(stacks, target);
  find_by_thread_locals(target.memory(), extension, python);
  find_stacks_by_tid(stacks, target);
}

/// Of all_ by object. Made when it is first asked for: a pause is too short for it.
const std::unordered_map<Address, std::size_t>& GreenletStates::index() const {
  if (!index_.empty()) return index_;
  index_.reserve(all_.size());
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (all_[i].object != 0) index_.emplace(all_[i].object, i);
  }
  return index_;
}

Address GreenletStates::key(const GreenletFields& fields) const {
  if (!flat_) return fields.main_greenlet;
  return fields.stop != 0 ? fields.run_info : 0;  // until it starts that is what it will run
}

void GreenletStates::find_threads_by_state(const Memory& memory) {
  for (const GreenletFields& fields : all_) {
    if (fields.object == 0 || !fields.main) continue;
    GreenletThread& thread = threads_[fields.object];
    thread.key = fields.object;
    thread.state = fields.thread_state;
    thread.exited = fields.thread_state == 0;
    if (thread.exited) continue;
    const auto state = memory.read_value<GreenletThreadState>(fields.thread_state);
    thread.unknown = !state.ok() || state->main != fields.object;
    if (!thread.unknown) thread.current = state->current;
  }
}

/// Before greenlet 2.0 a started greenlet knows the dict of its thread's PyThreadState. The innermost one
/// that has nothing saved is the one that runs: those below it in the chain of live stacks have larger bases,
/// and all others are saved whole.
void GreenletStates::find_threads_by_dict(const Memory& memory, std::span<const PythonThread> python) {
  struct Innermost {
    Address stop = 0;
    bool any = false;
  };
  std::map<Address, Innermost> innermost;
  for (const GreenletFields& fields : all_) {
    const Address dict = key(fields);
    if (fields.object == 0 || dict == 0) continue;
    GreenletThread& thread = threads_[dict];
    thread.key = dict;
    if (fields.start == 0 || fields.saved != 0) continue;
    Innermost& best = innermost[dict];
    if (best.any && best.stop <= fields.stop) continue;
    best = {fields.stop, true};
    thread.current = fields.object;
  }
  // Where a PyThreadState keeps its dict differs between versions; that it holds it does not.
  std::map<Address, std::optional<pid_t>> found;
  for (const PythonThread& known : python) {
    std::array<Address, thread_state_size / sizeof(Address)> words{};
    memory.read_some(known.address, std::as_writable_bytes(std::span(words)));
    for (const Address word : words) {
      if (threads_.contains(word)) found.emplace(word, known.tid);
    }
  }
  if (found.empty()) return;  // not known which threads there are
  for (auto& [dict, thread] : threads_) {
    const auto own = found.find(dict);
    thread.exited = own == found.end();
    if (thread.exited) {
      thread.current = 0;
    } else {
      thread.tid = own->second;
    }
  }
}

void GreenletStates::find_stacks(const ThreadStacks& stacks, const Target& target) {
  for (const GreenletFields& fields : all_) {
    const Address address = fields.object != 0 ? on_stack(fields) : 0;
    const auto thread = address != 0 ? threads_.find(key(fields)) : threads_.end();
    if (thread == threads_.end() || thread->second.exited || thread->second.stack) continue;
    if (const ThreadStack* stack = stacks.at(address)) settle(thread->second, *stack);
  }
  // A thread whose main greenlet has never been switched away from says nothing; where it is the only one of
  // the process, that is no question.
  if (target.threads().size() != 1 || stacks.all().size() != 1) return;
  for (auto& [unused, thread] : threads_) {
    if (!thread.exited && !thread.stack) settle(thread, stacks.all().front());
  }
}

/// A main greenlet that has never been switched away from knows nothing of its stack, but its thread has the
/// address of the ThreadState in a thread-local variable.
void GreenletStates::find_by_thread_locals(const Memory& memory, const GreenletExtension& extension,
                                           std::span<const PythonThread> python) {
  std::vector<std::uint64_t> wanted;
  for (const auto& [unused, thread] : threads_) {
    if (!thread.stack && thread.state != 0) wanted.push_back(thread.state);
  }
  const auto found = find_in_thread_locals(memory, python, extension.thread_local_size, wanted);
  for (auto& [unused, thread] : threads_) {
    const auto tid = found.find(thread.state);
    if (tid != found.end() && !thread.tid) thread.tid = tid->second;
  }
}

/// Of threads whose tid is known but not yet where their stack is.
void GreenletStates::find_stacks_by_tid(const ThreadStacks& stacks, const Target& target) {
  for (auto& [unused, thread] : threads_) {
    if (!thread.tid || thread.stack) continue;
    if (const ThreadStack* stack = stacks.of(*thread.tid)) thread.stack = *stack;
    const auto known = std::ranges::find(target.threads(), *thread.tid, &Thread::tid);
    if (known != target.threads().end()) thread.nstid = known->nstid;
  }
}

void GreenletStates::settle(GreenletThread& thread, const ThreadStack& stack) {
  thread.stack = stack;
  thread.tid = stack.tid;
  thread.nstid = stack.nstid;
}

void GreenletStates::doubt() {
  for (auto& [unused, thread] : threads_) {
    thread.unknown = !thread.exited;
    thread.current = 0;
  }
}

bool GreenletStates::amid_switch() const {
  return std::ranges::any_of(threads_, [](const auto& entry) {
    const GreenletThread& thread = entry.second;
    return !thread.exited && !thread.unknown && thread.current == 0;
  });
}

State GreenletStates::state(const GreenletFields& fields) const {
  if (fields.stop == 0) return State::unstarted;
  const GreenletThread* own = thread(fields);
  if (own != nullptr && !own->exited && own->current == fields.object) return State::running;
  if (fields.start == 0) return State::finished;
  if (own != nullptr && own->exited) return fields.main ? State::finished : State::orphaned;
  return State::suspended;
}

const GreenletThread* GreenletStates::thread(const GreenletFields& fields) const {
  const auto found = threads_.find(key(fields));
  return found != threads_.end() && key(fields) != 0 ? &found->second : nullptr;
}

const GreenletThread* GreenletStates::thread_or_parents(const GreenletFields& fields) const {
  const GreenletFields* at = &fields;
  for (int i = 0; i < most_parents; ++i) {
    if (const GreenletThread* own = thread(*at)) return own;
    const auto parent = index().find(at->parent);
    if (at->parent == 0 || parent == index().end()) return nullptr;
    at = &all_[parent->second];
  }
  return nullptr;
}

}  // namespace coppice::inspect
