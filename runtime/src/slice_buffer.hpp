// The heap copy of a greenlet's stack slice, grown from its low end: bytes [start, start + saved) of the
// stack.
//
// Promises
//   * grow() is the only call that allocates, and it does not in the steady state;
//   * the capacity is at most 1.25 times the largest slice of the last few dozen switches;
//   * the copy is placed so that no memcpy in either direction meets the 4 KB aliasing cliff (see place()).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu.hpp"

namespace coppice::internal {

/// Where slices come from: std::malloc, unless a test wants an allocation to fail. Freed with std::free.
extern void* (*allocate_slice)(std::size_t bytes);

class SliceBuffer {
 public:
  const std::byte* copy() const noexcept { return copy_; }
  std::size_t saved() const noexcept { return saved_; }
  std::size_t capacity() const noexcept { return std::size_t{capacity_} * unit; }

  /// Whether `total` bytes from stack address `start` on find room. Settles where the copy will lie if it is
  /// empty.
  bool fits(std::uintptr_t start, std::size_t total) noexcept {
    if (buffer_ == nullptr) return total == 0;
    if (saved_ == 0) copy_ = place(start, total);
    return static_cast<std::size_t>(copy_ - buffer_) + total <= capacity();
  }
  /// Makes that room; what is saved stays saved. False when there is no memory: then nothing has changed.
  bool grow(std::uintptr_t start, std::size_t total) noexcept;

  /// Copies what is not yet saved of [start, start + total); room was reserved. Returns the number of bytes
  /// copied.
  std::size_t save(std::uintptr_t start, std::size_t total) noexcept {
    if (total <= saved_) return 0;
    const std::size_t bytes = total - saved_;
    stack_copy(copy_ + saved_, reinterpret_cast<const std::byte*>(start + saved_), bytes);
    saved_ = total;
    return bytes;
  }

  /// Copies everything back to `start` and is empty then. Returns the number of bytes copied.
  std::size_t restore(std::uintptr_t start) noexcept {
    const std::size_t bytes = saved_;
    if (bytes == 0) return 0;
    stack_copy(reinterpret_cast<std::byte*>(start), copy_, bytes);
    saved_ = 0;
    peak_ = std::max(peak_, static_cast<std::uint32_t>((bytes + unit - 1) / unit));
    if (++uses_ == window) end_window();
    return bytes;
  }

  /// Gives the memory back.
  void release() noexcept;

  // For the debug table.
  static constexpr std::uint16_t copy_offset() { return offsetof(SliceBuffer, copy_); }
  static constexpr std::uint16_t saved_offset() { return offsetof(SliceBuffer, saved_); }

 private:
  static constexpr std::size_t unit = 16;  ///< sizes are kept in units, to fit 32 bits
  static constexpr std::uint32_t window = 32;
  static constexpr std::size_t small = 1024;  ///< up to here a copy is not worth aligning
  static constexpr std::size_t line = 64;
  static constexpr std::size_t page = 4096;

  static std::uintptr_t address(const std::byte* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
  }

  /// Where in the buffer the copy goes. Copies of 4 KB and more fall from 40-90 GB/s to 3 GB/s on CPUs with
  /// fast short `rep movsb` when (destination - source) mod 4096 lies in 1..63, which is just where malloc's
  /// mmapped chunks put them. A copy goes both ways here, so both residues must avoid that range: same place
  /// in the cache line, but not in the page. Costs at most 112 bytes.
  std::byte* place(std::uintptr_t start, std::size_t total) const noexcept {
    if (total < small) return buffer_;
    std::byte* const aligned = buffer_ + (start - address(buffer_)) % line;
    return (address(aligned) - start) % page == 0 ? aligned + line : aligned;
  }
  void end_window() noexcept;

  std::byte* copy_ = nullptr;  ///< inside buffer_
  std::size_t saved_ = 0;
  std::byte* buffer_ = nullptr;
  std::uint32_t capacity_ = 0;
  std::uint32_t peak_ = 0;       ///< largest slice of this window of restores
  std::uint32_t last_peak_ = 0;  ///< and of the one before
  std::uint32_t uses_ = 0;       ///< restores in this window
};

}  // namespace coppice::internal
