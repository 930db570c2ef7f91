#include "inspect/memory/cached_memory.hpp"

#include <algorithm>
#include <cstring>

namespace coppice::inspect {

void CachedMemory::read_batch(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) {
    request.got = 0;
    if (request.into.size() > page_size) {
      request.got = memory_.read_some(request.address, request.into);
      continue;
    }
    while (request.got < request.into.size()) {
      const Address at = request.address + request.got;
      if (at < request.address) break;  // around the end of the address space
      const std::size_t wanted =
          std::min<std::size_t>(request.into.size() - request.got, page_size - at % page_size);
      const std::size_t got = read_piece(at, request.into.subspan(request.got, wanted));
      request.got += got;
      if (got < wanted) break;
    }
  }
}

/// Reads what lies in one page.
std::size_t CachedMemory::read_piece(Address address, std::span<std::byte> into) const {
  const std::size_t offset = address % page_size;
  const std::byte* page = page_at(address - offset);
  if (page == nullptr) return memory_.read_some(address, into);
  std::memcpy(into.data(), page + offset, into.size());
  return into.size();
}

const std::byte* CachedMemory::page_at(Address start) const {
  if (const auto known = pages_.find(start); known != pages_.end()) return known->second.get();
  if (pages_.size() >= most_pages_) pages_.clear();
  auto page = std::make_unique_for_overwrite<std::byte[]>(page_size);
  if (memory_.read_some(start, {page.get(), page_size}) < page_size) page.reset();
  return pages_.emplace(start, std::move(page)).first->second.get();
}

}  // namespace coppice::inspect
