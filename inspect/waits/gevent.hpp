// What the greenlets of a gevent program wait for.
#pragma once

#include <optional>
#include <unordered_map>

#include "inspect/waits/gevent_objects.hpp"
#include "inspect/waits/heap.hpp"
#include "inspect/waits/search.hpp"

namespace coppice::inspect {

/// Looks for objects that lead back to the greenlet on the greenlet's C stack (see gevent_objects.hpp), which
/// must have been copied. Thread-safety: one thread at a time.
class GeventWaits {
 public:
  /// All references must outlive the object. `greenlets`: all there are, by address.
  GeventWaits(Heap& heap, const WaitContext& context,
              const std::unordered_map<Address, const Greenlet*>& greenlets)
      : heap_(heap), context_(context), greenlets_(greenlets), objects_(heap) {}

  /// None when it cannot be proven. Provisional while Heap::pending().
  std::optional<Waiting> find(WaitSearch& search);

 private:
  void list(WaitSearch& search);
  Waiting describe(const GeventCandidate& candidate);
  Waiting describe_io(Address watcher);

  Heap& heap_;
  const WaitContext& context_;
  const std::unordered_map<Address, const Greenlet*>& greenlets_;
  GeventObjects objects_;
};

}  // namespace coppice::inspect
