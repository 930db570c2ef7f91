#include "samples/server/database.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sample {

using std::chrono::milliseconds;

std::uint64_t PageCache::fetch(std::uint64_t page) {
  ++fetches_;
  const bool cached = (page * 0x9e3779b97f4a7c15U + fetches_) % 24 != 0;
  return cached ? page ^ 0x5555 : read_from_disk(page);
}

std::uint64_t PageCache::read_from_disk(std::uint64_t page) {
  loop_.sleep_for(milliseconds(100 + (page * 37 + fetches_ * 11) % 900));
  return page ^ 0x5555;
}

Database::Database(EventLoop& loop) : loop_(loop), pages_(loop) {
  balances_.fill(1'000);
  for (std::size_t i = 0; i < balances_.size(); ++i) locks_.emplace_back(loop);
}

std::string Database::get(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? std::string() : found->second;
}

void Database::put(const std::string& key, std::string value) {
  write_ahead(key);
  values_[key] = std::move(value);
  if (const auto queue = watchers_.find(key); queue != watchers_.end()) queue->second.wake_all();
}

std::string Database::wait_for_change(const std::string& key) {
  auto& queue = watchers_.try_emplace(key, loop_, "change of item").first->second;
  queue.wait(std::hash<std::string>{}(key) % 1'000);
  return get(key);
}

std::string Database::report(std::uint64_t id) {
  std::uint64_t rows = 0;
  std::uint64_t sum = 0;
  join(id, id + 1, [&](const Row& row) {
    ++rows;
    sum += row.key;
    if (row.key % 31 == 0) write_ahead(row.value);
  });
  return std::to_string(rows) + " rows, sum " + std::to_string(sum) + "\n";
}

std::string Database::transfer(unsigned from, unsigned to, long amount) {
  if (from == to) return "nothing to do\n";
  // In one order everywhere, so that two transfers never wait for each other.
  const Holding first(locks_[std::min(from, to)]);
  const Holding second(locks_[std::max(from, to)]);
  balances_[from] -= amount;
  write_ahead("transfer");
  balances_[to] += amount;
  return "balances " + std::to_string(balances_[from]) + " and " + std::to_string(balances_[to]) + "\n";
}

void Database::compact() {
  for (std::uint64_t round = 0;; ++round) {
    scan(round % 16, 0, 64, [&](const Row& row) {
      if (row.key % 16 == 0) write_ahead(row.value);
    });
    loop_.sleep_for(milliseconds(500));
  }
}

void Database::join(std::uint64_t left, std::uint64_t right, const OnRow& on_row) {
  scan(left, left % 5, 12, [&](const Row& outer) {
    scan(right, outer.key % 7, 4,
         [&](const Row& inner) { on_row({outer.key * inner.key, outer.value + inner.value}); });
  });
}

void Database::scan(std::uint64_t table, std::uint64_t from, std::uint64_t rows, const OnRow& on_row) {
  for (std::uint64_t key = from; key < from + rows; ++key) {
    on_row(descend(table * 1'000, 3 + static_cast<unsigned>(table % 4), key));
  }
}

Row Database::descend(std::uint64_t page, unsigned level, std::uint64_t key) {
  const std::uint64_t checksum = pages_.fetch(page);
  if (level == 0) return {key, "row " + std::to_string(checksum)};
  Row row = descend(page * 2 + (key & 1), level - 1, key >> 1);
  row.key = row.key * 2 + (key & 1);
  return row;
}

void Database::write_ahead(const std::string& what) {
  loop_.sleep_for(milliseconds(20 + std::hash<std::string>{}(what) % 200));
}

}  // namespace sample
