// The 64-bit version of a slot: a sequence lock with one writer at a time, whose readers are other processes.
//
// Odd while the slot changes. Never reset, also not when the slot is used again, so a reader that sees the
// same even number before and after has read bytes nobody touched.
#pragma once

#include <atomic>
#include <cstdint>

namespace coppice::internal {

class Version {
 public:
  void begin() noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);  // the odd number is seen before any change
  }
  void end() noexcept { value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  bool changing() const noexcept { return value_.load(std::memory_order_relaxed) % 2 != 0; }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

/// Holds a slot's version odd for a scope.
class Changing {
 public:
  explicit Changing(Version& version) noexcept : version_(version) { version_.begin(); }
  ~Changing() { version_.end(); }
  Changing(const Changing&) = delete;
  Changing& operator=(const Changing&) = delete;

 private:
  Version& version_;
};

}  // namespace coppice::internal
