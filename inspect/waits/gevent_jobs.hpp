// What the threads of gevent's thread pools do, and for whom.
//
//     pool.spawn(f).get()   an AsyncResult is waited for; ThreadResult.receiver is that AsyncResult, and the
//                           outermost frame of a thread that does the job, _WorkerGreenlet.run(), has the
//                           tuple (f, args, kwargs, ThreadResult); where no thread has begun it, the pool's
//                           queue has
#pragma once

#include <string>
#include <unordered_map>

#include "inspect/waits/heap.hpp"
#include "inspect/waits/search.hpp"

namespace coppice::inspect {

/// Thread-safety: one thread at a time.
class GeventJobs {
 public:
  /// `heap` must outlive the object.
  explicit GeventJobs(Heap& heap) : heap_(heap) {}

  /// By the name of its type, which is that of a class: more is asked when it is read.
  static bool is_worker(const Greenlet& greenlet) { return greenlet.type == "_WorkerGreenlet"; }

  /// Notes the job of a worker, and those that its pool has not begun. Provisional while Heap::pending().
  void read(const WaitSearch& worker);

  /// The wait for a job, of a greenlet that waits for an AsyncResult; none when it is that of no job.
  std::optional<Waiting> find(Address result) const;

 private:
  struct Job {
    std::string function;
    const Greenlet* worker = nullptr;  ///< null: no thread has begun it
  };
  void note(Address task, const Greenlet* worker);

  Heap& heap_;
  std::unordered_map<Address, Job> jobs_;  ///< by the AsyncResult
};

}  // namespace coppice::inspect
