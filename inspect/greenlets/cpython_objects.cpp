#include "inspect/greenlets/cpython_objects.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "inspect/greenlets/range_reader.hpp"

namespace coppice::inspect {
namespace {

// PyTypeObject (CPython 3.8 to 3.11, Include/cpython/object.h).
constexpr std::uint64_t ob_type = 0x08;
constexpr std::uint64_t tp_basicsize = 0x20;
constexpr std::uint64_t tp_flags = 0xa8;
constexpr std::uint64_t tp_base = 0x100;
constexpr std::uint64_t flag_ready = 1U << 12U;
constexpr std::uint64_t flag_type_subclass = 1U << 31U;
constexpr std::uint64_t largest_object = 1U << 20U;
constexpr std::size_t most_types = 4096;
constexpr std::uint64_t neighbourhood = 64 * 1024;
constexpr int most_generations = 64;  // of derived types

// PyGC_Head, in front of every collected object. The lowest bits of both words are flags.
constexpr std::uint64_t gc_head = 16;
constexpr std::uint64_t gc_previous = 8;
constexpr Address gc_flags = 3;

/// A ready type whose instances are at least as large as a greenlet.
bool is_derived_type(const Memory& memory, Address type, std::uint64_t base_size) {
  const auto size = memory.read_value<std::uint64_t>(type + tp_basicsize);
  const auto flags = memory.read_value<std::uint64_t>(type + tp_flags);
  const auto metatype = memory.read_value<Address>(type + ob_type);
  if (!size.ok() || !flags.ok() || !metatype.ok()) return false;
  const auto metaflags = memory.read_value<std::uint64_t>(*metatype + tp_flags);
  return *size >= base_size && *size <= largest_object && (*flags & flag_ready) != 0 && metaflags.ok() &&
         (*metaflags & flag_type_subclass) != 0;
}

bool lies_in(std::span<const AddressRange> ranges, Address address) {
  const auto next = std::ranges::upper_bound(ranges, address, {}, &AddressRange::start);
  return next != ranges.begin() && address < std::prev(next)->end;
}

/// Those of the objects that a neighbour in the garbage collector's list leads to. One for which that cannot
/// be read although it should be there counts as well: it may be one.
std::vector<Address> collected(const Memory& memory, std::span<const AddressRange> ranges,
                               std::span<const Address> objects) {
  RangeReader heads(memory);
  for (const Address object : objects) {
    heads.add(object - gc_head, sizeof(Address));
    heads.add(object - gc_head + gc_previous, sizeof(Address));
  }
  heads.read();
  RangeReader neighbours(memory);
  for (std::size_t i = 0; i < objects.size(); ++i) {
    neighbours.add((heads.word(2 * i).value_or(0) & ~gc_flags) + gc_previous, sizeof(Address));
    neighbours.add(heads.word(2 * i + 1).value_or(0) & ~gc_flags, sizeof(Address));
  }
  neighbours.read();
  std::vector<Address> result;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const Address head = objects[i] - gc_head;
    const bool leads_back = (neighbours.word(2 * i).value_or(0) & ~gc_flags) == head ||
                            (neighbours.word(2 * i + 1).value_or(0) & ~gc_flags) == head;
    const bool missing = !heads.word(2 * i) && !heads.word(2 * i + 1) && lies_in(ranges, head);
    if (leads_back || missing) result.push_back(objects[i]);
  }
  return result;
}

std::uint64_t bytes_of(std::span<const AddressRange> ranges) {
  std::uint64_t bytes = 0;
  for (const AddressRange& range : ranges) bytes += range.end - range.start;
  return bytes;
}

/// Sorted, and each address once.
std::vector<AddressRange> merged(std::vector<AddressRange> ranges) {
  std::ranges::sort(ranges, {}, &AddressRange::start);
  std::vector<AddressRange> result;
  for (const AddressRange& range : ranges) {
    if (!result.empty() && range.start <= result.back().end) {
      result.back().end = std::max(result.back().end, range.end);
    } else {
      result.push_back(range);
    }
  }
  return result;
}

/// Parts of the ranges that lie around the places.
std::vector<AddressRange> around(std::span<const AddressRange> ranges, std::span<const Address> places) {
  std::vector<AddressRange> near;
  auto range = ranges.begin();
  for (const Address place : places) {
    const Address low = place / neighbourhood * neighbourhood;
    const Address high = low + neighbourhood;
    if (!near.empty() && near.back().end > place) continue;
    while (range != ranges.end() && range->end <= low) ++range;
    for (auto at = range; at != ranges.end() && at->start < high; ++at) {
      near.push_back({std::max(at->start, low), std::min(at->end, high)});
    }
  }
  return near;
}

}  // namespace

GreenletFinder::GreenletFinder(const Target& target, const GreenletExtension& extension,
                               const SearchLimits& limits)
    : target_(target), flat_(extension.flat()), search_(limits), types_{extension.type} {
  limits_.hits = limits.greenlets;
  if (flat_) return;
  vtables_ = {extension.user_vtable, extension.main_vtable};
  if (extension.broken_vtable != 0) vtables_.push_back(extension.broken_vtable);
}

std::vector<Address> GreenletFinder::find() {
  warnings_.clear();
  std::uint64_t left_out = 0;
  std::vector<AddressRange> now =
      scannable(target_, flat_ ? ScanScope::written : ScanScope::heap, limits_, &left_out);
  if (left_out > 0) {
    warnings_.push_back(
        fmt::format("{} mappings are too large to be searched; greenlets in them are not shown", left_out));
  }
  const bool all = found_.empty() || bytes_of(now) <= search_.whole;
  const std::vector<AddressRange> searched = all ? now : worth_searching(now);
  WordScan scan;
  std::vector<Address> places = flat_ ? find_flat(searched, types_, scan) : find_cpp(searched, scan);
  if (scan.too_many) {
    warnings_.push_back(
        fmt::format("only the first {} places that look like greenlets were looked at", scan.hits.size()));
  }
  if (!all) {
    // What was found elsewhere before is taken to be there still; whoever reads it sees whether it is.
    std::erase_if(found_, [&](Address place) { return lies_in(searched, place) || !lies_in(now, place); });
    std::vector<Address> both;
    std::ranges::set_union(found_, places, std::back_inserter(both));
    places = std::move(both);
  }
  ranges_ = std::move(now);
  found_ = places;
  return places;
}

/// Parts of the ranges: near what was found, new since the last search, and those whose turn it is.
std::vector<AddressRange> GreenletFinder::worth_searching(std::span<const AddressRange> ranges) {
  std::vector<AddressRange> parts = around(ranges, found_);
  auto before = ranges_.begin();
  std::uint64_t left = search_.turn;
  for (const AddressRange& range : ranges) {
    Address at = range.start;
    while (before != ranges_.end() && before->end <= at) ++before;
    for (auto old = before; old != ranges_.end() && old->start < range.end; ++old) {
      if (old->start > at) parts.push_back({at, old->start});
      at = std::max(at, std::min(old->end, range.end));
    }
    if (at < range.end) parts.push_back({at, range.end});
    if (range.end <= next_turn_ || left == 0) continue;
    const Address start = std::max(range.start, next_turn_);
    const std::uint64_t size = std::min(left, range.end - start);
    parts.push_back({start, start + size});
    left -= size;
    if (left == 0) next_turn_ = start + size;
  }
  if (left > 0) next_turn_ = 0;  // the end was reached: from the beginning next time
  return merged(std::move(parts));
}

std::vector<Address> GreenletFinder::find_near(std::span<const Address> places) const {
  WordScan scan;
  std::vector<Address> types = types_;
  const std::vector<AddressRange> near = around(ranges_, places);
  return flat_ ? find_flat(near, types, scan) : find_cpp(near, scan);
}

std::vector<Address> GreenletFinder::find_cpp(std::span<const AddressRange> ranges, WordScan& scan) const {
  scan = scan_for_words(target_.memory(), ranges, vtables_, limits_);
  std::vector<Address> places;
  places.reserve(scan.hits.size());
  for (const WordHit& hit : scan.hits) places.push_back(hit.address);
  return places;
}

std::vector<Address> GreenletFinder::find_flat(std::span<const AddressRange> ranges,
                                               std::vector<Address>& types, WordScan& scan) const {
  const Memory& memory = target_.memory();
  const auto base = memory.read_value<std::uint64_t>(types.front() + tp_basicsize);
  const std::uint64_t base_size = base.ok() ? *base : 0;
  std::vector<Address> objects;
  std::vector<Address> newest = types;
  for (int i = 0; i < most_generations && !newest.empty() && !scan.too_many; ++i) {
    scan = scan_for_words(memory, ranges, newest, limits_);
    newest.clear();
    for (const WordHit& hit : scan.hits) {
      objects.push_back(hit.address - ob_type);
      const Address type = hit.address - tp_base;
      const bool known = std::ranges::find(types, type) != types.end();
      if (known || types.size() >= most_types || !is_derived_type(memory, type, base_size)) continue;
      types.push_back(type);
      newest.push_back(type);
    }
  }
  std::vector<Address> places = collected(memory, ranges, objects);
  std::ranges::sort(places);
  const auto twice = std::ranges::unique(places);
  places.erase(twice.begin(), twice.end());
  return places;
}

}  // namespace coppice::inspect
