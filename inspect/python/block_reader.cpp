#include "inspect/python/block_reader.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace coppice::inspect {
namespace {

/// Ten Python frames usually fit, and reading this much costs hardly more than reading one frame.
constexpr std::uint64_t block_size = 2048;
constexpr std::size_t most_blocks = std::size_t{1} << 16U;
constexpr std::size_t smallest_table = 64;

std::size_t hash(Address number) {
  return static_cast<std::size_t>(number * 0x9e3779b97f4a7c15U >> 20U);
}

}  // namespace

BlockReader::BlockReader(const Memory& memory, std::size_t expected)
    : memory_(memory), table_(std::bit_ceil(std::max(smallest_table, 2 * std::min(expected, most_blocks)))) {}

/// The block's entry, made when there is none.
BlockReader::Entry* BlockReader::entry_of(Address number) {
  for (std::size_t at = hash(number);; ++at) {
    Entry& entry = table_[at & (table_.size() - 1)];
    if (entry.used && entry.number != number) continue;
    if (entry.used) return &entry;
    if (used_ + 1 > table_.size() / 2) {
      grow();
      return entry_of(number);
    }
    entry = {number, nullptr, 0, true, false};
    ++used_;
    wanted_.push_back(number);
    return &entry;
  }
}

void BlockReader::grow() {
  std::vector<Entry> old(table_.size() * 2);
  old.swap(table_);
  for (const Entry& entry : old) {
    if (!entry.used) continue;
    std::size_t at = hash(entry.number);
    while (table_[at & (table_.size() - 1)].used) ++at;
    table_[at & (table_.size() - 1)] = entry;
  }
}

BlockReader::Found BlockReader::find(Address address, std::span<std::byte> into) {
  if (address + into.size() < address) return Found::unreadable;
  Found found = Found::ready;
  for (std::size_t done = 0; done < into.size();) {
    const Address at = address + done;
    const std::size_t offset = at % block_size;
    const std::size_t size = std::min<std::size_t>(into.size() - done, block_size - offset);
    const Entry& entry = *entry_of(at / block_size);
    if (!entry.fetched) {
      found = Found::wanted;
    } else if (offset + size <= entry.got) {
      std::memcpy(into.data() + done, entry.bytes + offset, size);
    } else if (memory_.read_some(at, into.subspan(done, size)) < size) {
      return Found::unreadable;  // not only because something before it in the block is
    }
    done += size;
  }
  return found;
}

void BlockReader::fetch() {
  if (wanted_.empty()) return;
  if (used_ > most_blocks + wanted_.size()) forget();
  std::ranges::sort(wanted_);
  if (rounds_in_use_ == rounds_.size()) rounds_.push_back(std::make_unique<RangeReader>(memory_));
  RangeReader& round = *rounds_[rounds_in_use_++];
  round.clear();
  for (const Address number : wanted_) round.add(number * block_size, block_size);
  round.read();
  for (std::size_t i = 0; i < wanted_.size(); ++i) {
    Entry& entry = *entry_of(wanted_[i]);
    const auto bytes = round.bytes(i);
    entry.bytes = bytes.data();
    entry.got = static_cast<std::uint32_t>(bytes.size());
    entry.fetched = true;
  }
  wanted_.clear();
}

void BlockReader::clear() {
  std::ranges::fill(table_, Entry{});
  used_ = 0;
  rounds_in_use_ = 0;
  wanted_.clear();
}

/// Keeps only what is wanted now.
void BlockReader::forget() {
  const std::vector<Address> wanted = std::move(wanted_);
  clear();
  for (const Address number : wanted) entry_of(number);
}

}  // namespace coppice::inspect
