// Greenlets that switched away by themselves, and whom nothing but a switch will wake.
//
//     SQLAlchemy's asyncio   await_only(awaitable), await_() since 2.1, switches to the parent, which awaits
//     it for
//                            the greenlet
//     plain greenlets        somebody must switch back; that is the parent, or whoever it leaves that to
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "inspect/waits/heap.hpp"
#include "inspect/waits/search.hpp"

namespace coppice::inspect {

/// Asked last, and of no greenlet whose parent is an event loop: what those wait for either has been proven
/// already or is not known. Thread-safety: one thread at a time.
class SwitchedWaits {
 public:
  /// All references must outlive the object. `searches`: all there are, by the greenlet's id.
  SwitchedWaits(Heap& heap, const PythonLayout& layout,
                const std::unordered_map<std::string, const WaitSearch*>& searches)
      : heap_(heap), layout_(layout), searches_(searches) {}

  /// None when it is no such greenlet, or has no parent. Provisional while Heap::pending().
  std::optional<Waiting> find(WaitSearch& search);

 private:
  bool is_sqlalchemy(const Greenlet& greenlet);
  std::optional<Waiting> awaiting(WaitSearch& search);

  Heap& heap_;
  const PythonLayout& layout_;
  const std::unordered_map<std::string, const WaitSearch*>& searches_;
};

}  // namespace coppice::inspect
