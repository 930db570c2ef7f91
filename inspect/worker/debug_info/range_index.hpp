// RangeIndex: which ranges hold an address, when ranges may overlap.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace coppice::inspect {

/// Half-open ranges [start, end), each with a value. Units, functions and symbols all overlap in practice
/// (identical code folding, aliases, link-time optimisation), so a plain binary search would miss some.
///
///     by start:  [a----)                        reach: the furthest end of this range and all before it;
///                   [b-------------)            walking left from an address may stop as soon as
///                        [c--)                  reach <= address
///
/// Fill with `add`, then `finish`, then ask. Thread-safety: after `finish`, concurrent reads.
template <class T>
class RangeIndex {
 public:
  struct Range {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    T value{};
  };

  /// Empty ranges are ignored.
  void add(std::uint64_t start, std::uint64_t end, T value) {
    if (start < end) ranges_.push_back({start, end, std::move(value)});
  }

  void finish() {
    std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) {
      return a.start != b.start ? a.start < b.start : a.end > b.end;
    });
    reach_.resize(ranges_.size());
    std::uint64_t reach = 0;
    for (std::size_t i = 0; i < ranges_.size(); ++i) reach_[i] = reach = std::max(reach, ranges_[i].end);
  }

  /// Calls `visit(range)` for every range that holds the address, innermost first (by start, then by end),
  /// until it returns true. Returns whether it did.
  template <class Visit>
  bool visit_covering(std::uint64_t address, Visit visit) const {
    auto above =
        std::upper_bound(ranges_.begin(), ranges_.end(), address,
                         [](std::uint64_t value, const Range& range) { return value < range.start; });
    for (auto i = static_cast<std::size_t>(above - ranges_.begin()); i > 0 && reach_[i - 1] > address; --i) {
      if (ranges_[i - 1].end > address && visit(ranges_[i - 1])) return true;
    }
    return false;
  }

  std::size_t size() const noexcept { return ranges_.size(); }

 private:
  std::vector<Range> ranges_;
  std::vector<std::uint64_t> reach_;
};

}  // namespace coppice::inspect
