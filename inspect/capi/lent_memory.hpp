// Memory that a debugger lends through the C ABI.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "inspect/capi/coppice_inspect.h"
#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// Reads through cpi_lender::read. A callback into Python costs microseconds whatever it fetches, so small
/// reads are served from whole pages, which are kept until `forget()`; large ones go straight into the
/// caller's buffer. Each batch costs at most one callback. Keeps `page_limit` pages (more only within one
/// batch); when they are full it starts anew.
class LentMemory final : public Memory {
 public:
  /// `lender` is copied; its `user` must outlive this object.
  explicit LentMemory(const cpi_lender& lender) : lender_(lender) {}

  void read_batch(std::span<ReadRequest> requests) const override;

  /// Drops every page: the target has run.
  void forget() { pages_.clear(); }

  static constexpr std::size_t page_size = 4096;
  static constexpr std::size_t page_limit = 8192;  // 32 MiB

 private:
  struct Page {
    std::array<std::byte, page_size> bytes;
    std::size_t got = 0;
  };

  void fetch(std::span<cpi_read> reads) const;
  void copy_from_pages(ReadRequest& request) const;

  cpi_lender lender_;
  mutable std::unordered_map<Address, std::unique_ptr<Page>> pages_;  // by address of the page
};

}  // namespace coppice::inspect
