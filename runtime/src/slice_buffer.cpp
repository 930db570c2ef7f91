#include "slice_buffer.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "stack_copy.hpp"

namespace coppice::internal {

void* (*allocate_slice)(std::size_t bytes) = std::malloc;

namespace {
constexpr std::size_t small = 1024;  // up to here a copy is not worth aligning
constexpr std::size_t line = 64;
constexpr std::size_t page = 4096;

std::uintptr_t address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}
}  // namespace

// Copies of 4 KB and more fall from 40-90 GB/s to 3 GB/s on CPUs with fast short `rep movsb` when
// (destination - source) mod 4096 lies in 1..63, which is just where malloc's mmapped chunks put them. A copy
// goes both ways here, so both residues must avoid that range: same place in the cache line, but not in the
// page. Costs at most 112 bytes.
std::byte* SliceBuffer::place(std::uintptr_t start, std::size_t total) const noexcept {
  if (total < small) return buffer_;
  std::byte* aligned = buffer_ + (start - address(buffer_)) % line;
  return (address(aligned) - start) % page == 0 ? aligned + line : aligned;
}

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

std::size_t SliceBuffer::save(std::uintptr_t start, std::size_t total) noexcept {
  if (total <= saved_) return 0;
  const std::size_t bytes = total - saved_;
  stack_copy(copy_ + saved_, reinterpret_cast<const std::byte*>(start + saved_), bytes);
  saved_ = total;
  return bytes;
}

std::size_t SliceBuffer::restore(std::uintptr_t start) noexcept {
  const std::size_t bytes = saved_;
  if (bytes == 0) return 0;
  stack_copy(reinterpret_cast<std::byte*>(start), copy_, bytes);
  saved_ = 0;
  note_use(bytes);
  return bytes;
}

void SliceBuffer::note_use(std::size_t bytes) noexcept {
  peak_ = std::max(peak_, static_cast<std::uint32_t>((bytes + unit - 1) / unit));
  if (++uses_ < window) return;
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
