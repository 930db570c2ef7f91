#include "inspect/greenlets/range_reader.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace coppice::inspect {
namespace {

/// Reading so many bytes for nothing costs about as much as one more piece in a batch.
constexpr std::uint64_t widest_gap = 4096;
/// A hole spoils its extent, which then has to be read again piece by piece.
constexpr std::uint64_t largest_extent = 4U << 20U;

}  // namespace

std::size_t RangeReader::add(Address address, std::uint64_t size) {
  const auto fitting = static_cast<std::size_t>(std::min<std::uint64_t>(size, UINT64_MAX - address));
  ranges_.push_back({address, fitting, 0, 0});
  return ranges_.size() - 1;
}

void RangeReader::put_in_order() {
  const auto address = [this](std::size_t i) { return ranges_[i].address; };
  // Often in the order of the time before.
  if (order_.size() == ranges_.size() && std::ranges::is_sorted(order_, {}, address)) return;
  order_.resize(ranges_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  if (!std::ranges::is_sorted(ranges_, {}, &Range::address)) std::ranges::sort(order_, {}, address);
}

/// Sorts the ranges and merges neighbours. Returns how large a buffer they need.
std::size_t RangeReader::lay_out() {
  put_in_order();
  extents_.clear();
  std::size_t used = 0;
  for (std::size_t at = 0; at < order_.size(); ++at) {
    Range& range = ranges_[order_[at]];
    const Address end = range.address + range.size;
    if (!extents_.empty()) {
      Extent& last = extents_.back();
      const Address last_end = last.address + last.size;
      const bool near = range.address <= last_end || range.address - last_end <= widest_gap;
      const Address merged_end = std::max(last_end, end);
      if (near && (merged_end - last.address <= largest_extent || end <= last_end)) {
        range.offset = last.offset + static_cast<std::size_t>(range.address - last.address);
        used += static_cast<std::size_t>(merged_end - last_end);
        last.size = static_cast<std::size_t>(merged_end - last.address);
        ++last.count;
        continue;
      }
    }
    range.offset = used;
    extents_.push_back({range.address, range.size, used, at, 1});
    used += range.size;
  }
  return used;
}

void RangeReader::read_extents() {
  requests_.clear();
  for (const Extent& extent : extents_) {
    requests_.push_back({extent.address, {buffer_.get() + extent.offset, extent.size}, 0});
  }
  memory_.read_batch(requests_);
  for (std::size_t i = 0; i < extents_.size(); ++i) {
    const Extent& extent = extents_[i];
    for (std::size_t at = extent.first; at < extent.first + extent.count; ++at) {
      Range& range = ranges_[order_[at]];
      const std::size_t before = range.offset - extent.offset;
      range.got = requests_[i].got > before ? std::min(range.size, requests_[i].got - before) : 0;
    }
  }
}

void RangeReader::read_again() {
  std::vector<std::size_t> short_ranges;
  for (const Extent& extent : extents_) {
    for (std::size_t at = extent.first; at < extent.first + extent.count && extent.count > 1; ++at) {
      if (ranges_[order_[at]].got < ranges_[order_[at]].size) short_ranges.push_back(order_[at]);
    }
  }
  if (short_ranges.empty()) return;
  requests_.clear();
  for (std::size_t number : short_ranges) {
    const Range& range = ranges_[number];
    requests_.push_back({range.address, {buffer_.get() + range.offset, range.size}, 0});
  }
  memory_.read_batch(requests_);
  for (std::size_t i = 0; i < short_ranges.size(); ++i) ranges_[short_ranges[i]].got = requests_[i].got;
}

void RangeReader::read() {
  const std::size_t needed = lay_out();
  if (needed > capacity_) {
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(needed);
    capacity_ = needed;
  }
  read_extents();
  read_again();
}

std::span<const std::byte> RangeReader::bytes(std::size_t number) const {
  const Range& range = ranges_[number];
  return {buffer_.get() + range.offset, range.got};
}

std::optional<std::uint64_t> RangeReader::word(std::size_t number) const {
  std::uint64_t value = 0;
  const std::span<const std::byte> read = bytes(number);
  if (read.size() < sizeof value) return std::nullopt;
  std::memcpy(&value, read.data(), sizeof value);
  return value;
}

void RangeReader::clear() {
  ranges_.clear();
}

}  // namespace coppice::inspect
