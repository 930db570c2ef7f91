#include "inspect/greenlets/coppice_threads.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace coppice::inspect {
Result<CoppiceThreads> CoppiceThreads::read(const Target& target, const CoppiceTable& table,
                                            const PoolLimits& limits) {
  auto pool = PoolCopy::read(target.memory(), table.fields.threads,
                             table.address + offsetof(DebugTable, threads), limits);
  if (!pool.ok()) return std::move(pool).error();
  // Live targets tell each thread's number in the target's own namespace; a kernel's core has only that one.
  std::unordered_map<pid_t, pid_t> tid_of_nstid;
  for (const Thread& thread : target.threads())
    tid_of_nstid.emplace(thread.nstid.value_or(thread.tid), thread.tid);

  CoppiceThreads result;
  result.unreadable_ = pool->unreadable();
  for (std::size_t i = 0; i < pool->slots(); ++i) {
    CoppiceThread thread;
    thread.slot = decode(table.fields.thread, pool->address(i), pool->bytes(i));
    if (thread.slot.tid == 0) continue;
    thread.nstid = static_cast<pid_t>(thread.slot.tid);
    if (auto known = tid_of_nstid.find(thread.nstid); known != tid_of_nstid.end()) thread.tid = known->second;
    result.threads_.push_back(thread);
  }
  return result;
}

const CoppiceThread* CoppiceThreads::at(Address slot) const {
  const auto address = [](const CoppiceThread& thread) { return thread.slot.address; };
  auto found = std::ranges::lower_bound(threads_, slot, {}, address);
  return found != threads_.end() && found->slot.address == slot ? &*found : nullptr;
}

std::uint64_t CoppiceThreads::switches() const {
  return std::accumulate(threads_.begin(), threads_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const CoppiceThread& t) { return sum + t.slot.switches; });
}

std::uint64_t CoppiceThreads::bytes_copied() const {
  return std::accumulate(threads_.begin(), threads_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const CoppiceThread& t) { return sum + t.slot.bytes_copied; });
}

}  // namespace coppice::inspect
