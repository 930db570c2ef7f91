// Many small pieces of memory as few large ones.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// Reads ranges that were announced before, neighbours together: slices and names lie close to each other in
/// the heap, and one large read costs a tenth of a thousand small ones (10,000 slices: 3 ms against 8 to 24
/// ms).
///
///     add() add() add() ... read() bytes() bytes() bytes() ... clear()
///
/// Memory is kept for the next time, which is faster where about the same ranges are read again.
/// A range that is read together with an unreadable neighbour is read again by itself, so that merging never
/// loses a byte. Thread-safety: one thread at a time.
class RangeReader {
 public:
  explicit RangeReader(const Memory& memory) : memory_(memory) {}

  /// Announces [address, address + size); cut where it would wrap around 2^64. Returns its number, from 0.
  std::size_t add(Address address, std::uint64_t size);

  /// Reads all announced ranges.
  void read();

  /// The leading bytes of a range that could be read. Valid until clear().
  std::span<const std::byte> bytes(std::size_t number) const;

  /// The range as one word; none when not all of it could be read.
  std::optional<std::uint64_t> word(std::size_t number) const;

  void clear();

 private:
  struct Range {
    Address address = 0;
    std::size_t size = 0;
    std::size_t offset = 0;  ///< of its first byte in buffer_
    std::size_t got = 0;
  };
  struct Extent {
    Address address = 0;
    std::size_t size = 0;
    std::size_t offset = 0;
    std::size_t first = 0, count = 0;  ///< its ranges in order_
  };

  void put_in_order();
  std::size_t lay_out();
  void read_extents();
  void read_again();

  const Memory& memory_;
  std::vector<Range> ranges_;
  std::vector<std::size_t> order_;  ///< ranges by address
  std::vector<Extent> extents_;
  std::vector<ReadRequest> requests_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t capacity_ = 0;
};

}  // namespace coppice::inspect
