// What the greenlets of a gevent program wait for.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "inspect/waits/gevent_objects.hpp"
#include "inspect/waits/heap.hpp"
#include "inspect/waits/search.hpp"

namespace coppice::inspect {

/// Looks for objects that lead back to the greenlet (see gevent_objects.hpp) on its C stack, which must have
/// been copied, and then, as where gevent is pure Python, in the variables of its innermost Python frames.
/// Thread-safety: one thread at a time.
class GeventWaits {
 public:
  /// All references must outlive the object. `greenlets`: all there are, by address.
  GeventWaits(Heap& heap, const WaitContext& context,
              const std::unordered_map<Address, const Greenlet*>& greenlets)
      : heap_(heap), context_(context), greenlets_(greenlets), objects_(heap) {}

  /// None when it cannot be proven. Provisional while Heap::pending().
  std::optional<Waiting> find(WaitSearch& search);

 private:
  bool list(WaitSearch& search, std::size_t reach);
  std::vector<GeventCandidate> objects_on(const Greenlet& greenlet, std::size_t from, std::size_t to);
  void add(std::vector<GeventCandidate>& candidates, Address object, Address self);
  Address waiter_of(const WaitSearch& search, std::span<const GeventCandidate> candidates);
  std::optional<Waiting> prove(WaitSearch& search, std::span<const GeventCandidate> candidates, bool whole);
  Waiting describe(WaitSearch& search, const GeventCandidate& candidate);
  Waiting describe_io(Address watcher);
  Waiting describe_many(Address iterator, std::span<const Address> remaining);
  static Waiting describe_join(const Greenlet& other);
  static std::size_t place_of(Address object) { return object / 16 % most_nones; }

  Heap& heap_;
  const WaitContext& context_;
  const std::unordered_map<Address, const Greenlet*>& greenlets_;
  GeventObjects objects_;
  /// What was listed lately and was neither a candidate nor a greenlet, each at its place_of: most of what
  /// lies on a stack lies on thousands.
  static constexpr std::size_t most_nones = 4096;
  std::array<Address, most_nones> nones_{};
};

}  // namespace coppice::inspect
