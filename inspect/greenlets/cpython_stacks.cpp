#include "inspect/greenlets/cpython_stacks.hpp"

#include <algorithm>

#include "inspect/python/pthread_x86_64.hpp"

namespace coppice::inspect {
namespace {

const Mapping* mapping_at(std::span<const Mapping> mappings, Address address) {
  const auto next = std::ranges::upper_bound(mappings, address, {}, &Mapping::start);
  if (next == mappings.begin()) return nullptr;
  const Mapping& mapping = *std::prev(next);
  return address < mapping.end ? &mapping : nullptr;
}

/// Where a thread's stack is: an address on it, and where it ends.
struct Clue {
  Address inside = 0;
  Address high = 0;  ///< 0: where the mapping ends
};

Clue clue_for(const Target& target, const Thread& thread, std::span<const PythonThread> python) {
  // The kernel marks the stack of the process's first thread, in live processes.
  if (thread.tid == target.pid()) {
    for (const Mapping& mapping : target.mappings()) {
      if (mapping.path == "[stack]") return {mapping.end - 1, 0};
    }
  }
  // The first thread's pthread structure lies elsewhere: only a stack that is in use has its pointer below.
  const auto registers = target.registers(thread.tid, Stopping::never);
  const Address sp = registers.ok() ? registers->registers.sp() : 0;
  for (const PythonThread& known : python) {
    if (known.tid != thread.tid || known.pthread == 0) continue;
    const Mapping* mapping = mapping_at(target.mappings(), known.pthread);
    const bool holds_sp = mapping != nullptr && sp >= mapping->start && sp < known.pthread;
    if (holds_sp || (sp == 0 && thread.tid != target.pid())) return {known.pthread - 1, known.pthread};
  }
  return {sp, 0};
}

}  // namespace

ThreadStacks ThreadStacks::read(const Target& target, std::span<const PythonThread> python) {
  ThreadStacks result;
  std::vector<ThreadStack>& stacks = result.stacks_;
  for (const Thread& thread : target.threads()) {
    const Clue clue = clue_for(target, thread, python);
    const Mapping* mapping = mapping_at(target.mappings(), clue.inside);
    if (mapping == nullptr) continue;
    stacks.push_back({mapping->start, clue.high != 0 ? clue.high : mapping->end, thread.tid, thread.nstid});
  }
  // Stacks whose guard pages lie inside one mapping: each begins where the one below it ends.
  std::ranges::sort(stacks, {}, &ThreadStack::high);
  for (std::size_t i = 1; i < stacks.size(); ++i) {
    stacks[i].low = std::max(stacks[i].low, stacks[i - 1].high);
  }
  std::erase_if(stacks, [](const ThreadStack& stack) { return stack.low >= stack.high; });
  return result;
}

const ThreadStack* ThreadStacks::at(Address address) const {
  const auto found = std::ranges::upper_bound(stacks_, address, {}, &ThreadStack::high);
  return found != stacks_.end() && address >= found->low ? &*found : nullptr;
}

const ThreadStack* ThreadStacks::of(pid_t tid) const {
  const auto found = std::ranges::find(stacks_, tid, &ThreadStack::tid);
  return found != stacks_.end() ? &*found : nullptr;
}

std::map<std::uint64_t, pid_t> find_in_thread_locals(const Memory& memory,
                                                     std::span<const PythonThread> python, std::uint64_t size,
                                                     std::span<const std::uint64_t> values) {
  constexpr std::uint64_t most_modules = 1024;
  constexpr std::uint64_t largest_block = 4096;
  std::map<std::uint64_t, pid_t> found;
  if (size > largest_block || values.empty()) return found;
  for (const PythonThread& thread : python) {
    if (!thread.tid || thread.pthread == 0) continue;
    const auto vector = memory.read_value<Address>(thread.pthread + pthread_dtv_offset);
    if (!vector.ok()) continue;
    const auto count = memory.read_value<std::uint64_t>(*vector - dtv_entry_size);
    const std::uint64_t modules = count.ok() ? std::min(*count, most_modules) : 0;
    std::vector<std::uint64_t> blocks(modules * dtv_entry_size / sizeof(std::uint64_t));
    memory.read_some(*vector + dtv_entry_size, std::as_writable_bytes(std::span(blocks)));
    std::vector<std::uint64_t> block(size / sizeof(std::uint64_t));
    for (std::size_t i = 0; i < blocks.size(); i += dtv_entry_size / sizeof(std::uint64_t)) {
      if (blocks[i] == 0 || blocks[i] == UINT64_MAX) continue;  // -1: not used by this thread yet
      std::ranges::fill(block, 0);
      memory.read_some(blocks[i], std::as_writable_bytes(std::span(block)));
      for (const std::uint64_t word : block) {
        if (word != 0 && std::ranges::find(values, word) != values.end()) found.emplace(word, *thread.tid);
      }
    }
  }
  return found;
}

}  // namespace coppice::inspect
