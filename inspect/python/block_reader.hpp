// Memory in blocks, many fetched at once: for readers that follow thousands of chains side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "inspect/greenlets/range_reader.hpp"

namespace coppice::inspect {

/// Each chain goes on as far as the blocks that are there allow, then the missing blocks of all chains are
/// fetched in one batch, and so on. The number of system calls is that of the longest chain, not of all
/// chains together; what lies close together comes along for nothing.
///
///     while (some chain is not at its end) { for each chain: follow it with find(); fetch(); }
///
/// Thread-safety: one thread at a time.
class BlockReader {
 public:
  enum class Found : std::uint8_t {
    ready,   ///< `into` is filled
    wanted,  ///< not fetched yet; will be there, or known to be unreadable, after fetch()
    unreadable,
  };

  /// `memory` must outlive the object. `expected`: about how many blocks there will be, to make room for.
  explicit BlockReader(const Memory& memory, std::size_t expected = 0);

  /// Copies [address, address + into.size()), at most one block's size.
  Found find(Address address, std::span<std::byte> into);

  /// Reads what find() wanted. Beyond a certain number of blocks forgets all those read before.
  void fetch();

  /// Forgets all blocks, but keeps the memory they are in for those to come.
  void clear();

 private:
  /// A block by its number (address / block size), in an open-addressing hash table.
  struct Entry {
    Address number = 0;
    const std::byte* bytes = nullptr;
    std::uint32_t got = 0;
    bool used = false;
    bool fetched = false;
  };

  Entry* entry_of(Address number);
  void grow();
  void forget();

  const Memory& memory_;
  std::vector<Entry> table_;
  std::size_t used_ = 0;
  std::vector<Address> wanted_;                       ///< block numbers
  std::vector<std::unique_ptr<RangeReader>> rounds_;  ///< own the bytes; the first rounds_in_use_ of them do
  std::size_t rounds_in_use_ = 0;
};

}  // namespace coppice::inspect
