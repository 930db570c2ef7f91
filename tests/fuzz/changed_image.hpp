// A fake process's memory that a fuzz input changes, quickly put back for the next one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <span>
#include <vector>

#include "inspect/memory/memory.hpp"
#include "inspect/target/target.hpp"
#include "tests/fuzz/input.hpp"

namespace coppice::inspect::testing {

/// Some ranges of another memory, copied into flat pieces; what cannot be read there is zeros.
class ChangedImage final : public Memory {
 public:
  /// The ranges begin and end at words.
  ChangedImage(const Memory& memory, std::span<const AddressRange> ranges) {
    for (const auto& [start, end] : ranges) {
      Piece& piece = pieces_.emplace_back(Piece{start, std::vector<std::byte>(end - start)});
      for (std::size_t at = 0; at < piece.bytes.size(); at += word) {
        memory.read_some(start + at, std::span(piece.bytes).subspan(at, word));
      }
      by_start_.emplace(start, pieces_.size() - 1);
    }
  }

  void read_batch(std::span<ReadRequest> requests) const override {
    for (ReadRequest& request : requests) {
      request.got = 0;
      const auto after = by_start_.upper_bound(request.address);
      if (after == by_start_.begin() || request.into.empty()) continue;
      const Piece& piece = pieces_[std::prev(after)->second];
      const Address offset = request.address - piece.start;
      if (offset >= piece.bytes.size()) continue;
      request.got = std::min<std::size_t>(request.into.size(), piece.bytes.size() - offset);
      std::memcpy(request.into.data(), piece.bytes.data() + offset, request.got);
    }
  }

  /// One change: a byte anywhere, or at a word an address inside, any number, or a small negative one.
  void change(Input& input) {
    const std::size_t which =
        (pieces_.size() > 256 ? input.take<std::uint16_t>() : input.take<std::uint8_t>()) % pieces_.size();
    const std::size_t at = input.take<std::uint16_t>() % pieces_[which].bytes.size();
    switch (input.take<std::uint8_t>() % 4) {
      case 0:
        return put(which, at, input.take<std::uint8_t>(), 1);
      case 1: {
        const Piece& other = pieces_[input.take<std::uint8_t>() % pieces_.size()];
        const std::uint64_t offset = input.take<std::uint16_t>() % other.bytes.size();
        return put(which, at & ~(word - 1), other.start + offset, word);
      }
      case 2:
        return put(which, at & ~(word - 1), input.take<std::uint64_t>(), word);
      default:
        return put(which, at & ~(word - 1), std::uint64_t{0} - input.take<std::uint8_t>(), word);
    }
  }

  /// Undoes all changes.
  void put_back() {
    for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
      std::memcpy(pieces_[change->piece].bytes.data() + change->at, &change->before, change->size);
    }
    changes_.clear();
  }

 private:
  static constexpr std::size_t word = sizeof(std::uint64_t);
  struct Piece {
    Address start = 0;
    std::vector<std::byte> bytes;
  };
  struct Change {
    std::size_t piece = 0;
    std::size_t at = 0;
    std::uint64_t before = 0;
    std::size_t size = 0;
  };

  void put(std::size_t which, std::size_t at, std::uint64_t value, std::size_t size) {
    std::byte* bytes = pieces_[which].bytes.data() + at;
    std::memcpy(&changes_.emplace_back(Change{which, at, 0, size}).before, bytes, size);
    std::memcpy(bytes, &value, size);
  }

  std::vector<Piece> pieces_;
  std::map<Address, std::size_t> by_start_;
  std::vector<Change> changes_;
};

}  // namespace coppice::inspect::testing
