// Errors that carry their cause and address.
//
// Everything that reads a target returns Result<T>: the target can die, lie or change at any moment, so
// failing is an ordinary outcome and not an exception. Exceptions are left for misuse of the API.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace coppice::inspect {

/// A virtual address in the target (not in this process).
using Address = std::uint64_t;

/// Why something could not be done. `name()` gives the stable spelling that the JSON contract uses.
enum class ErrorCode : std::uint8_t {
  unreadable,        ///< memory at `address` could not be read (unmapped, absent from the core)
  gone,              ///< the process or thread exited while it was being read
  no_such_process,   ///< there is no process with that PID
  not_permitted,     ///< the kernel refused; the message names the setting or capability
  not_a_core,        ///< the file is not an ELF core of a supported machine
  truncated,         ///< the file ends before the bytes it promises (core cut short)
  wrong_executable,  ///< a file's build-id differs from the one that was running
  no_file,           ///< a file that is needed was not found
  no_unwind_info,    ///< the pc has no CFI (or lies in no known module)
  bad_unwind_info,   ///< the CFI could not be decoded, crashed or stalled the worker
  inexpressible,     ///< the CFI means something no Rule can say (two shifted probes disagreed)
  moved_backwards,   ///< the caller's CFA would lie at or below this frame's
  off_stack,         ///< a frame pointed outside [start, stop) of its greenlet
  too_deep,          ///< the frame limit was reached
  torn,              ///< the target changed these bytes while they were read, every retry
  corrupt,           ///< bytes that cannot be what they should be (bad magic, impossible sizes, cycles)
  unsupported,       ///< a version, layout or machine this build does not know
  not_stopped,   ///< registers of a thread on a CPU were wanted, but stopping it was not allowed or failed
  io,            ///< an operating system call failed for another reason
  bad_argument,  ///< the caller asked for something that does not exist (unknown ID)
};

/// The stable, lower-case spelling of a code, for example "no_unwind_info". Never null.
const char* name(ErrorCode code) noexcept;

/// What went wrong, where (0 when no address is involved), and a sentence for a person, without a full stop.
struct Error {
  ErrorCode code = ErrorCode::io;
  Address address = 0;
  std::string message;
};

/// Either a T or an Error. Check `ok()` before `value()`; a wrong access is undefined, like std::expected.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  T& value() & noexcept { return *std::get_if<0>(&state_); }
  const T& value() const& noexcept { return *std::get_if<0>(&state_); }
  T&& value() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }
  T& operator*() & noexcept { return value(); }
  const T& operator*() const& noexcept { return value(); }
  Error& error() & noexcept { return *std::get_if<1>(&state_); }
  const Error& error() const& noexcept { return *std::get_if<1>(&state_); }
  Error&& error() && noexcept { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : state_(std::move(error)) {}  // NOLINT: implicit by design
  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  Error& error() & noexcept { return *std::get_if<1>(&state_); }
  const Error& error() const& noexcept { return *std::get_if<1>(&state_); }
  Error&& error() && noexcept { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<std::monostate, Error> state_;
};

}  // namespace coppice::inspect
