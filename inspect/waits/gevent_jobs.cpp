#include "inspect/waits/gevent_jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace coppice::inspect {

/// `task`: perhaps the tuple of a job.
void GeventJobs::note(Address task, const Greenlet* worker) {
  constexpr std::size_t parts_of_task = 4;
  if (!heap_.plausible(task) || heap_.type_name(task) != "tuple") return;
  const std::vector<Address> parts = heap_.items(task);
  if (parts.size() != parts_of_task || !heap_.plausible(parts.back())) return;
  const auto classes = heap_.classes(parts.back());
  if (std::ranges::find(classes, "gevent.threadpool.ThreadResult") == classes.end()) return;
  const auto receiver = heap_.attribute(parts.back(), "receiver");
  if (receiver) jobs_[*receiver] = {heap_.callable(parts.front()), worker};
}

void GeventJobs::read(const WaitSearch& worker) {
  // Those that wait in the queue first: what a thread does by then is begun.
  const auto pool_queue = heap_.attribute(worker.greenlet->address, "_task_queue");
  const auto tasks = pool_queue ? heap_.attribute(*pool_queue, "_queue") : std::nullopt;
  for (const Address task : tasks ? heap_.items(*tasks) : std::vector<Address>()) note(task, nullptr);
  const auto frame = worker.variables ? worker.variables->outermost(heap_) : std::nullopt;
  if (!frame) return;
  for (const Address value : frame->values) note(value, worker.greenlet);
}

std::optional<Waiting> GeventJobs::find(Address result) const {
  const auto found = jobs_.find(result);
  if (found == jobs_.end()) return std::nullopt;
  const auto& [function, worker] = found->second;
  Waiting waiting{"job", result, function.empty() ? "job" : "job " + function, {}};
  if (worker == nullptr) {
    waiting.detail += ", not begun by a thread yet";
    return waiting;
  }
  if (worker->tid) waiting.detail += fmt::format(" in thread {}", *worker->tid);
  waiting.greenlet = worker->id;
  return waiting;
}

}  // namespace coppice::inspect
