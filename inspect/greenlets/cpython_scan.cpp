#include "inspect/greenlets/cpython_scan.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

namespace coppice::inspect {
namespace {

constexpr std::uint64_t word_size = sizeof(std::uint64_t);
constexpr std::uint64_t page = 4096;
constexpr std::size_t window_size =
    512 * 1024;  // stays in the second-level cache between reading and looking
constexpr std::size_t pieces_at_once = 256;

bool worth_scanning(const Mapping& mapping, ScanScope scope) {
  if (!mapping.readable || !mapping.writable) return false;
  if (mapping.path == "[stack]" || mapping.path.starts_with("[v")) return false;
  return scope == ScanScope::written || mapping.path.empty() || mapping.path.starts_with('[');
}

/// Looks through words for a few values. Nearly every word is ruled out by a few of its bits.
class Matcher {
 public:
  explicit Matcher(std::span<const std::uint64_t> values) : values_(values.begin(), values.end()) {
    std::ranges::sort(values_);
    for (const std::uint64_t value : values_) possible_[bits(value)] = true;
  }

  void look(Address at, std::span<const std::byte> bytes, WordScan& into, std::size_t limit) const {
    for (std::size_t offset = 0; offset + word_size <= bytes.size(); offset += word_size) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + offset, word_size);
      if (!possible_[bits(word)] || !std::ranges::binary_search(values_, word)) continue;
      if (into.hits.size() >= limit) {
        into.too_many = true;
        return;
      }
      into.hits.push_back({at + offset, word});
    }
  }

 private:
  /// Addresses of objects are multiples of 8 or more.
  static std::size_t bits(std::uint64_t word) { return static_cast<std::size_t>(word >> 3U) % 4096; }

  std::vector<std::uint64_t> values_;
  std::array<bool, 4096> possible_{};
};

/// Cuts the ranges into pieces that fill the window, a batch at a time.
class Pieces {
 public:
  Pieces(std::span<const AddressRange> ranges, std::span<std::byte> window)
      : ranges_(ranges), window_(window) {
    if (!ranges_.empty()) at_ = aligned(ranges_.front().start);
  }

  /// The next batch; empty at the end.
  std::span<ReadRequest> next() {
    requests_.clear();
    std::size_t used = 0;
    while (current_ < ranges_.size() && used < window_.size() && requests_.size() < pieces_at_once) {
      const Address end = ranges_[current_].end & ~(word_size - 1);
      if (at_ >= end) {
        if (++current_ < ranges_.size()) at_ = aligned(ranges_[current_].start);
        continue;
      }
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(end - at_, window_.size() - used));
      requests_.push_back({at_, window_.subspan(used, size), 0});
      used += size;
      at_ += size;
    }
    return requests_;
  }

 private:
  static Address aligned(Address address) { return (address + word_size - 1) & ~(word_size - 1); }

  std::span<const AddressRange> ranges_;
  std::span<std::byte> window_;
  std::size_t current_ = 0;
  Address at_ = 0;
  std::vector<ReadRequest> requests_;
};

}  // namespace

std::vector<AddressRange> scannable(const Target& target, ScanScope scope, const WordScanLimits& limits,
                                    std::uint64_t* left_out) {
  std::vector<AddressRange> ranges;
  for (const Mapping& mapping : target.mappings()) {
    if (!worth_scanning(mapping, scope)) continue;
    if (mapping.end - mapping.start > limits.mapping) {
      if (left_out != nullptr) ++*left_out;
      continue;
    }
    const std::vector<AddressRange> populated = target.populated(mapping.start, mapping.end);
    ranges.insert(ranges.end(), populated.begin(), populated.end());
  }
  return ranges;
}

WordScan scan_for_words(const Memory& memory, std::span<const AddressRange> ranges,
                        std::span<const std::uint64_t> values, const WordScanLimits& limits) {
  WordScan scan;
  if (values.empty()) return scan;
  const Matcher matcher(values);
  std::uint64_t size = 0;
  for (const AddressRange& range : ranges) size += range.end - std::min(range.start, range.end);
  size = std::min<std::uint64_t>(size, window_size);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(size);
  Pieces pieces(ranges, {buffer.get(), static_cast<std::size_t>(size)});
  for (auto batch = pieces.next(); !batch.empty() && !scan.too_many; batch = pieces.next()) {
    memory.read_batch(batch);
    for (ReadRequest& piece : batch) {
      bool tried_again = false;
      for (;;) {
        scan.bytes += piece.got;
        matcher.look(piece.address, piece.into.first(piece.got), scan, limits.hits);
        if (piece.got == piece.into.size()) break;
        // A batch may fail as a whole, so once more from where it ended; then behind that page.
        tried_again = !tried_again;
        const Address behind = (piece.address + piece.got) / page * page + page;
        const std::uint64_t skipped = tried_again ? piece.got & ~(word_size - 1) : behind - piece.address;
        if (skipped >= piece.into.size()) break;
        piece.into = piece.into.subspan(static_cast<std::size_t>(skipped));
        piece.address += skipped;
        piece.got = memory.read_some(piece.address, piece.into);
      }
    }
  }
  return scan;
}

}  // namespace coppice::inspect
