#include "inspect/capi/lent_memory.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace coppice::inspect {
namespace {

constexpr Address page_mask = ~Address{LentMemory::page_size - 1};

/// How much of a request lies below 2^64.
std::size_t clipped(const ReadRequest& request) {
  const Address room = std::numeric_limits<Address>::max() - request.address;
  return request.into.size() - 1 <= room ? request.into.size() : static_cast<std::size_t>(room) + 1;
}

bool is_large(const ReadRequest& request) {
  return request.into.size() >= 2 * LentMemory::page_size;
}

}  // namespace

void LentMemory::fetch(std::span<cpi_read> reads) const {
  if (reads.empty()) return;
  for (auto& read : reads) read.got = 0;
  if (lender_.read(lender_.user, reads.data(), reads.size()) != 0) {
    for (auto& read : reads) read.got = 0;
  }
  for (auto& read : reads) read.got = std::min(read.got, read.size);
}

void LentMemory::copy_from_pages(ReadRequest& request) const {
  const std::size_t size = clipped(request);
  while (request.got < size) {
    const Address address = request.address + request.got;
    const auto found = pages_.find(address & page_mask);
    if (found == pages_.end()) return;
    const Page& page = *found->second;
    const std::size_t within = address & ~page_mask;
    if (within >= page.got) return;
    const std::size_t count = std::min(page.got - within, size - request.got);
    std::memcpy(request.into.data() + request.got, page.bytes.data() + within, count);
    request.got += count;
    if (page.got < page_size) return;
  }
}

void LentMemory::read_batch(std::span<ReadRequest> requests) const {
  std::vector<cpi_read> reads;
  std::vector<ReadRequest*> large;
  std::vector<Address> missing;
  for (auto& request : requests) {
    request.got = 0;
    if (request.into.empty()) continue;
    const std::size_t size = clipped(request);
    if (is_large(request)) {
      large.push_back(&request);
      reads.push_back({request.address, size, reinterpret_cast<std::uint8_t*>(request.into.data()), 0});
      continue;
    }
    const Address last = (request.address + (size - 1)) & page_mask;
    for (Address page = request.address & page_mask;; page += page_size) {
      if (!pages_.contains(page)) missing.push_back(page);
      if (page == last) break;
    }
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  if (pages_.size() + missing.size() > page_limit && !pages_.empty()) {
    // The pages that this batch counted on are dropped too, so it starts anew: now everything is missing.
    pages_.clear();
    read_batch(requests);
    return;
  }
  for (const Address address : missing) {
    auto& page = pages_[address] = std::make_unique<Page>();
    reads.push_back({address, page_size, reinterpret_cast<std::uint8_t*>(page->bytes.data()), 0});
  }
  fetch(reads);
  for (std::size_t i = 0; i < large.size(); ++i) large[i]->got = reads[i].got;
  for (std::size_t i = 0; i < missing.size(); ++i) pages_[missing[i]]->got = reads[large.size() + i].got;
  for (auto& request : requests) {
    if (!request.into.empty() && !is_large(request)) copy_from_pages(request);
  }
}

}  // namespace coppice::inspect
