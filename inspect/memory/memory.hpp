// One virtual read; everything else is built on top of it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include "inspect/base/result.hpp"

namespace coppice::inspect {

/// One piece of a batch. After the read the first `got` bytes of `into` are the target's; the rest are
/// unspecified. `got < into.size()` means that the byte at `address + got` could not be read.
struct ReadRequest {
  Address address = 0;
  std::span<std::byte> into;
  std::size_t got = 0;
};

/// Bytes of a target, by address. Implementations: ProcessMemory (a live process), CoreMemory (an ELF core),
/// SliceMemory (a greenlet's stack as it would be if it ran), lent memory (GDB), and fakes for tests.
///
/// Never writes to the target, never throws, never reads less than it could: a short read stops exactly at
/// the first unreadable byte's page (or finer). Addresses may be anything, also wrapping around 2^64.
/// Thread-safety: one thread at a time per object, unless the implementation says more.
class Memory {
 public:
  virtual ~Memory() = default;

  /// Fulfils every request as far as its bytes are readable without a gap, setting `got`.
  virtual void read_batch(std::span<ReadRequest> requests) const = 0;

  /// Reads as many leading bytes as possible; returns how many.
  std::size_t read_some(Address address, std::span<std::byte> into) const;

  /// Reads exactly `into.size()` bytes, or fails with `unreadable` and the first address that could not be
  /// read.
  Result<void> read(Address address, std::span<std::byte> into) const;

  /// Reads one object of a trivially copyable type.
  template <class T>
  Result<T> read_value(Address address) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    auto done = read(address, std::as_writable_bytes(std::span(&value, 1)));
    if (!done.ok()) return std::move(done).error();
    return value;
  }

  /// Reads bytes up to a NUL, at most `limit`; longer strings are cut there. Fails only when not even the
  /// first byte is readable.
  Result<std::string> read_string(Address address, std::size_t limit) const;

 protected:
  Memory() = default;
  Memory(const Memory&) = default;
  Memory& operator=(const Memory&) = default;
};

}  // namespace coppice::inspect
