#include "inspect/python/python_threads.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "inspect/python/pthread_x86_64.hpp"

namespace coppice::inspect {
namespace {

constexpr std::size_t most_interpreters = 4096;
constexpr std::size_t most_threads = std::size_t{1} << 17U;

const Thread* thread_with_id(std::span<const Thread> threads, std::int64_t id) {
  const auto found = std::ranges::find_if(
      threads, [&](const Thread& thread) { return thread.nstid.value_or(thread.tid) == id; });
  return found == threads.end() ? nullptr : &*found;
}

const Mapping* mapping_at(std::span<const Mapping> mappings, Address address) {
  const auto found = std::ranges::find_if(
      mappings, [&](const Mapping& mapping) { return address >= mapping.start && address < mapping.end; });
  return found == mappings.end() ? nullptr : &*found;
}

/// The thread whose stack pointer is in the mapping that holds the pthread structure, as that of every thread
/// but the main one is.
std::optional<pid_t> thread_by_stack(const Target& target, Address pthread) {
  const Mapping* mapping = mapping_at(target.mappings(), pthread);
  if (mapping == nullptr) return std::nullopt;
  for (const Thread& thread : target.threads()) {
    const auto registers = target.registers(thread.tid, Stopping::never);
    if (!registers.ok()) continue;
    const Address sp = registers->registers.sp();
    if (sp >= mapping->start && sp < pthread) return thread.tid;
  }
  return std::nullopt;
}

std::optional<pid_t> find_thread(const Target& target, const PythonThread& python) {
  const auto noted = target.memory().read_value<std::int32_t>(python.pthread + pthread_tid_offset);
  if (noted.ok() && *noted > 0) {
    if (const Thread* thread = thread_with_id(target.threads(), *noted)) return thread->tid;
  }
  if (python.native_id) {
    if (const Thread* thread = thread_with_id(target.threads(), *python.native_id)) return thread->tid;
  }
  return thread_by_stack(target, python.pthread);
}

/// Walks the lists. Whatever it has when something is wrong stays.
class ThreadWalk {
 public:
  ThreadWalk(const Target& target, const PythonRuntime& python)
      : target_(target), memory_(target.memory()), layout_(python.layout), runtime_(python.runtime) {}

  PythonThreads run() {
    Address interpreter = 0;
    bool fine = read_word(runtime_ + layout_.runtime.interpreters_head, interpreter);
    std::set<Address> seen;
    while (fine && interpreter != 0) {
      fine = first_time(seen, interpreter, most_interpreters, "interpreters") && walk_threads(interpreter) &&
             read_word(interpreter + layout_.interpreter.next, interpreter);
    }
    return std::move(result_);
  }

 private:
  bool walk_threads(Address interpreter) {
    Address id = 0;
    Address thread = 0;
    bool fine = read_word(interpreter + layout_.interpreter.id, id) &&
                read_word(interpreter + layout_.interpreter.threads_head, thread);
    while (fine && thread != 0) {
      fine = first_time(seen_threads_, thread, most_threads, "threads") &&
             read_thread(interpreter, static_cast<std::int64_t>(id), thread) &&
             read_word(thread + layout_.thread.next, thread);
    }
    return fine;
  }

  bool read_thread(Address interpreter, std::int64_t interpreter_id, Address address) {
    Address owner = 0;
    if (!read_word(address + layout_.thread.interp, owner)) return false;
    if (owner != interpreter) {
      return fail(
          {ErrorCode::corrupt, address,
           fmt::format("the PyThreadState at {:#x} says that it belongs to the interpreter at {:#x}, not to "
                       "that at {:#x}",
                       address, owner, interpreter)});
    }
    PythonThread thread;
    thread.address = address;
    thread.interpreter = interpreter;
    thread.interpreter_id = interpreter_id;
    if (!read_word(address + layout_.thread.thread_id, thread.pthread)) return false;
    if (layout_.thread.native_thread_id != 0) {
      Address id = 0;
      if (!read_word(address + layout_.thread.native_thread_id, id)) return false;
      if (id != 0 && id <= INT32_MAX) thread.native_id = static_cast<pid_t>(id);
    }
    read_innermost_frame(memory_, layout_, thread);
    thread.tid = find_thread(target_, thread);
    result_.threads.push_back(thread);
    return true;
  }

  bool read_word(Address address, Address& value) {
    const auto word = memory_.read_value<Address>(address);
    if (!word.ok()) return fail(word.error());
    value = *word;
    return true;
  }

  bool first_time(std::set<Address>& seen, Address address, std::size_t most, const char* what) {
    if (seen.size() >= most) {
      return fail(
          {ErrorCode::corrupt, address, fmt::format("CPython's list of {} has more than {}", what, most)});
    }
    if (seen.insert(address).second) return true;
    return fail({ErrorCode::corrupt, address,
                 fmt::format("CPython's list of {} turns in a circle at {:#x}", what, address)});
  }

  bool fail(Error error) {
    result_.error = std::move(error);
    return false;
  }

  const Target& target_;
  const Memory& memory_;
  const PythonLayout& layout_;
  Address runtime_;
  std::set<Address> seen_threads_;
  PythonThreads result_;
};

}  // namespace

void read_innermost_frame(const Memory& memory, const PythonLayout& layout, PythonThread& thread) {
  thread.frame = 0;
  thread.error.reset();
  Address at = thread.address + layout.thread.frame;
  if (layout.thread.cframe != 0) {
    const auto cframe = memory.read_value<Address>(thread.address + layout.thread.cframe);
    if (!cframe.ok()) thread.error = cframe.error();
    if (!cframe.ok() || *cframe == 0) return;
    at = *cframe + layout.thread.cframe_current;
  }
  const auto frame = memory.read_value<Address>(at);
  if (frame.ok()) {
    thread.frame = *frame;
  } else {
    thread.error = frame.error();
  }
}

PythonThreads read_python_threads(const Target& target, const PythonRuntime& python) {
  return ThreadWalk(target, python).run();
}

}  // namespace coppice::inspect
