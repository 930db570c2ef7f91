// A make-believe database: a B-tree of pages that take a while to come from a disk. Its calls nest as real
// ones do.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "samples/server/event_loop.hpp"
#include "samples/server/waiting.hpp"

namespace sample {

struct Row {
  std::uint64_t key;
  std::string value;
};

/// Pages that sleep before they arrive, unless they are in the cache.
class PageCache {
 public:
  explicit PageCache(EventLoop& loop) : loop_(loop) {}
  /// The checksum of a page.
  std::uint64_t fetch(std::uint64_t page);

 private:
  std::uint64_t read_from_disk(std::uint64_t page);

  EventLoop& loop_;
  std::uint64_t fetches_ = 0;
};

class Database {
 public:
  explicit Database(EventLoop& loop);

  std::string get(const std::string& key) const;
  void put(const std::string& key, std::string value);

  /// Waits until `key` is put.
  std::string wait_for_change(const std::string& key);

  /// Reports on many rows: joins two tables, a callback for every row.
  std::string report(std::uint64_t id);

  /// Moves an amount between two accounts, holding the locks of both meanwhile.
  std::string transfer(unsigned from, unsigned to, long amount);

  /// Rewrites pages for ever; for a greenlet of its own.
  void compact();

 private:
  using OnRow = std::function<void(const Row&)>;
  void join(std::uint64_t left, std::uint64_t right, const OnRow& on_row);
  void scan(std::uint64_t table, std::uint64_t from, std::uint64_t rows, const OnRow& on_row);
  Row descend(std::uint64_t page, unsigned level, std::uint64_t key);
  void write_ahead(const std::string& what);

  EventLoop& loop_;
  PageCache pages_;
  std::map<std::string, std::string> values_;
  std::map<std::string, WaitQueue> watchers_;
  std::array<long, 64> balances_{};
  std::vector<Lock> locks_;
};

}  // namespace sample
