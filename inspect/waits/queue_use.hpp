// What a queue tells of itself.
#pragma once

#include <cstdint>
#include <optional>

namespace coppice::inspect {

/// None: not known.
struct QueueUse {
  std::optional<std::uint64_t> items, getters, putters;
};

}  // namespace coppice::inspect
