#include "inspect/target/pagemap.hpp"

#include <unistd.h>

#include <algorithm>

namespace coppice::inspect {

namespace {

constexpr std::uint64_t kPresentOrSwapped = std::uint64_t{3} << 62U;
constexpr std::size_t kEntriesAtOnce = 32 * 1024;

}  // namespace

std::vector<AddressRange> populated_pages(int pagemap, Address start, Address end) {
  static const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::vector<AddressRange> ranges;
  const auto add = [&](Address from, Address to) {
    from = std::max(from, start);
    to = std::min(to, end);
    if (!ranges.empty() && ranges.back().end == from) {
      ranges.back().end = to;
    } else if (from < to) {
      ranges.push_back({from, to});
    }
  };
  std::vector<std::uint64_t> entries(std::min<std::uint64_t>(kEntriesAtOnce, (end - start) / page + 2));
  for (Address at = start / page * page; at < end;) {
    const auto wanted = std::min<std::uint64_t>(entries.size(), (end - at + page - 1) / page);
    const ssize_t got = pread(pagemap, entries.data(), wanted * sizeof(std::uint64_t),
                              static_cast<off_t>(at / page * sizeof(std::uint64_t)));
    if (got < static_cast<ssize_t>(sizeof(std::uint64_t))) {
      add(at, end);
      break;
    }
    const std::size_t count = static_cast<std::size_t>(got) / sizeof(std::uint64_t);
    for (std::size_t i = 0; i < count; ++i, at += page) {
      if ((entries[i] & kPresentOrSwapped) != 0) add(at, at + page);
    }
  }
  return ranges;
}

}  // namespace coppice::inspect
