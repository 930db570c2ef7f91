// A memory whose pages are fetched once: for readers that follow pointers from one small object to the next.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// Shows another memory as it was when each page was first read: for the length of one reading, not for
/// longer. Objects of an interpreter lie close together, so that a page answers hundreds of small reads.
/// Beyond `most_pages` all pages are forgotten. Large reads, and what is not readable as a whole page, go to
/// the memory itself. Thread-safety: one thread at a time.
class CachedMemory final : public Memory {
 public:
  static constexpr std::size_t page_size = 4096;

  /// `memory` must outlive the object.
  explicit CachedMemory(const Memory& memory, std::size_t most_pages = std::size_t{1} << 14U)
      : memory_(memory), most_pages_(most_pages) {}

  void read_batch(std::span<ReadRequest> requests) const override;

 private:
  const std::byte* page_at(Address start) const;
  std::size_t read_piece(Address address, std::span<std::byte> into) const;

  const Memory& memory_;
  std::size_t most_pages_;
  mutable std::unordered_map<Address, std::unique_ptr<std::byte[]>>
      pages_;  ///< null: not readable as a whole
};

}  // namespace coppice::inspect
