#include "inspect/waits/owned_lock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace coppice::inspect {
namespace {

/// Where gevent's own functions are Python, so many frames may be between the RLock's and the switch.
constexpr std::size_t frames_between = PythonVariables::most_frames;

bool is_owned_lock(Heap& heap, Address object) {
  return std::ranges::any_of(heap.classes(object), [](std::string_view name) {
    return name == "gevent.lock.RLock" || name == "threading._RLock";
  });
}

const Greenlet* owner_of(Heap& heap, Address lock,
                         const std::unordered_map<Address, const Greenlet*>& greenlets) {
  const auto owner = heap.attribute(lock, "_owner");
  if (!owner) return nullptr;
  auto found = greenlets.find(*owner);
  if (found == greenlets.end()) {
    const auto ident = heap.integer(*owner);
    if (ident) found = greenlets.find(static_cast<Address>(*ident));
  }
  return found == greenlets.end() ? nullptr : found->second;
}

std::string times(Heap& heap, Address lock) {
  const auto count = heap.attribute(lock, "_count");
  const auto number = count ? heap.integer(*count) : std::nullopt;
  return number && *number > 1 ? fmt::format(" {} times", *number) : std::string();
}

}  // namespace

std::optional<Waiting> wait_for_owned_lock(Heap& heap, WaitSearch& search, Address semaphore,
                                           const std::unordered_map<Address, const Greenlet*>& greenlets) {
  if (!search.variables) return std::nullopt;
  for (const FrameVariables& frame : search.variables->frames(heap, frames_between)) {
    for (const Address lock : frame.values) {
      if (!heap.plausible(lock) || !is_owned_lock(heap, lock)) continue;
      if (heap.attribute(lock, "_block") != semaphore) continue;
      Waiting waiting{"lock", lock, "lock " + title_of(heap, lock), {}};
      if (const Greenlet* owner = owner_of(heap, lock, greenlets)) {
        waiting.detail += fmt::format(", held{} by greenlet {}", times(heap, lock), owner->id);
        waiting.greenlet = owner->id;
      }
      return waiting;
    }
  }
  return std::nullopt;
}

}  // namespace coppice::inspect
