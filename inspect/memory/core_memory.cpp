#include "inspect/memory/core_memory.hpp"

#include <algorithm>

namespace coppice::inspect {

namespace {

using Extent = CoreMemory::Extent;

/// The part of an extent from `start` to `end`, both inside it.
Extent part_of(const Extent& extent, Address start, Address end) {
  return {start, end, extent.source, extent.offset + (start - extent.start)};
}

}  // namespace

CoreMemory::CoreMemory(std::vector<Extent> extents) {
  std::ranges::stable_sort(extents, {}, &Extent::start);
  for (const Extent& extent : extents) {
    const Address start = extents_.empty() ? extent.start : std::max(extent.start, extents_.back().end);
    if (start < extent.end) extents_.push_back(part_of(extent, start, extent.end));
  }
}

void CoreMemory::fill(const std::vector<Extent>& more) {
  std::vector<Extent> all = extents_;
  for (const Extent& extent : CoreMemory(more).extents_) {
    Address at = extent.start;
    auto next = std::ranges::upper_bound(extents_, at, {}, &Extent::end);
    for (; next != extents_.end() && next->start < extent.end; ++next) {
      if (at < next->start) all.push_back(part_of(extent, at, next->start));
      at = next->end;
    }
    if (at < extent.end) all.push_back(part_of(extent, at, extent.end));
  }
  std::ranges::sort(all, {}, &Extent::start);
  extents_ = std::move(all);
}

const Extent* CoreMemory::extent_at(Address address) const {
  const auto extent = std::ranges::upper_bound(extents_, address, {}, &Extent::end);
  return extent != extents_.end() && extent->start <= address ? &*extent : nullptr;
}

void CoreMemory::read_batch(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) {
    request.got = 0;
    while (request.got < request.into.size()) {
      const Address at = request.address + request.got;
      if (at < request.address) break;
      const Extent* extent = extent_at(at);
      if (extent == nullptr || extent->source == nullptr) break;
      const std::uint64_t rest = request.into.size() - request.got;
      const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(rest, extent->end - at));
      const std::size_t got = extent->source->read_some(extent->offset + (at - extent->start),
                                                        request.into.subspan(request.got, wanted));
      request.got += got;
      if (got < wanted) break;
    }
  }
}

}  // namespace coppice::inspect
