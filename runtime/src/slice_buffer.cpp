#include "slice_buffer.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace coppice::internal {

void* (*allocate_slice)(std::size_t bytes) = std::malloc;

bool SliceBuffer::grow(std::uintptr_t start, std::size_t total) noexcept {
  constexpr std::size_t malloc_header = 8;
  // An eighth of slack covers placing and small growth. Filling malloc's 16-byte steps costs nothing.
  const std::size_t wanted = (total + total / 8 + malloc_header + unit - 1) / unit * unit - malloc_header;
  const std::size_t bytes = std::max(wanted, (total + unit - 1) / unit * unit);
  if (bytes / unit > std::numeric_limits<std::uint32_t>::max()) return false;
  auto* fresh = static_cast<std::byte*>(allocate_slice(bytes));
  if (fresh == nullptr) return false;
  const SliceBuffer old = *this;
  buffer_ = fresh;
  capacity_ = static_cast<std::uint32_t>(bytes / unit);
  copy_ = place(start, total);
  stack_copy(copy_, old.copy_, saved_);
  std::free(old.buffer_);
  return true;
}

void SliceBuffer::end_window() noexcept {
  const std::uint64_t recent = std::max(peak_, last_peak_);
  if (std::uint64_t{capacity_} * 4 > recent * 5) {
    std::free(buffer_);  // the next save takes what it needs
    buffer_ = copy_ = nullptr;
    capacity_ = 0;
  }
  last_peak_ = peak_;
  peak_ = 0;
  uses_ = 0;
}

void SliceBuffer::release() noexcept {
  std::free(buffer_);
  *this = SliceBuffer();
}

}  // namespace coppice::internal
