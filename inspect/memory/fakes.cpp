#include "inspect/memory/fakes.hpp"

#include <algorithm>
#include <cstring>

namespace coppice::inspect {

void FakeMemory::put(Address address, std::span<const std::byte> bytes) {
  remove(address, bytes.size());
  if (!bytes.empty()) regions_[address].assign(bytes.begin(), bytes.end());
}

void FakeMemory::remove(Address address, std::uint64_t size) {
  const Address end = address + size;
  auto region = regions_.upper_bound(address);
  if (region != regions_.begin()) --region;
  while (region != regions_.end() && region->first < end) {
    const Address first = region->first;
    std::vector<std::byte> bytes = std::move(region->second);
    region = regions_.erase(region);
    const Address last = first + bytes.size();
    if (first < address) {
      const std::size_t kept = std::min<std::size_t>(bytes.size(), address - first);
      regions_[first].assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(kept));
    }
    if (last > end) {
      const std::size_t from = std::max(first, end) - first;
      regions_[first + from].assign(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end());
    }
  }
}

void FakeMemory::read_batch(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) {
    request.got = 0;
    while (request.got < request.into.size()) {
      const Address at = request.address + request.got;
      if (at < request.address) break;
      auto region = regions_.upper_bound(at);
      if (region == regions_.begin()) break;
      --region;
      const Address offset = at - region->first;
      if (offset >= region->second.size()) break;
      const std::size_t size =
          std::min<std::size_t>(request.into.size() - request.got, region->second.size() - offset);
      std::memcpy(request.into.data() + request.got, region->second.data() + offset, size);
      request.got += size;
    }
  }
}

void FailNth::read_batch(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) {
    const std::uint64_t number = reads_++;
    const bool fails = fails_after_ ? number >= nth_ : number == nth_;
    request.got = fails ? 0 : memory_.read_some(request.address, request.into);
  }
}

}  // namespace coppice::inspect
