// What every fuzz target begins with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

namespace coppice::inspect::testing {

/// A promise of the code under test; one that is broken ends the run.
inline void check(bool holds) {
  if (!holds) __builtin_trap();
}

/// Takes numbers off the input, zeros at its end.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  std::span<const std::uint8_t> rest() const { return bytes_; }

  template <class T>
  T take() {
    T value{};
    const std::size_t size = std::min(sizeof value, bytes_.size());
    if (size > 0) std::memcpy(static_cast<void*>(&value), bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace coppice::inspect::testing
