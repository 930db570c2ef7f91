// Where the greenlet extension keeps what, found out from the live objects themselves.
//
// From greenlet 2.0 on a Python object points to a C++ object, which points back:
//
//     PyGreenlet                   UserGreenlet or MainGreenlet
//     +-------------+        +---->+-----------------------------+
//     | refcount    |        |     | vtable                      |
//     | type        |        |     | self (3.1.1 and newer)      |---> the PyGreenlet
//     | weakrefs    |        |     | exception state, arguments  |     (16 or 32 bytes, by CPython's version)
//     | dict        |        |     | start stop copy saved prev  |
//     | pimpl       |--------+     | context, top frame, ...     |     (differs most between versions)
//     +-------------+              | self (until 3.1.0)          |
//                                  | main, run, parent           |     (MainGreenlet: thread state)
//                                  +-----------------------------+
//
// Before 2.0 everything lies in the PyGreenlet itself ("flat"). Source: the extension's own headers, checked
// with DWARF and live objects for every row of `known_layouts`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inspect/greenlets/cpython_extension.hpp"
#include "inspect/memory/memory.hpp"
#include "inspect/python/python_layout.hpp"

namespace coppice::inspect {

/// Offsets in bytes: of the first group in the PyGreenlet, of all others in the C++ object (flat: in the
/// PyGreenlet as well). 0: this version has no such field, or it is not known yet.
struct GreenletLayout {
  std::uint16_t type = 0x08;
  std::uint16_t pimpl = 0x20;  ///< flat: 0

  std::uint16_t self = 0;
  std::uint16_t start = 0;  ///< followed by stop, copy, saved and prev
  std::uint16_t top_frame = 0;
  std::uint16_t previous_frame = 0;  ///< greenlet 3.0.0 to 3.0.2 on CPython 3.12
  std::uint16_t current_frame = 0;   ///< CPython 3.11 and newer
  std::uint16_t main = 0;            ///< of a UserGreenlet: its thread's main greenlet
  std::uint16_t parent = 0;
  std::uint16_t thread_state = 0;  ///< of a MainGreenlet
  std::uint16_t run_info = 0;      ///< flat: the owning PyThreadState's dict, once started

  std::uint16_t stop() const noexcept { return start + 0x08; }
  std::uint16_t copy() const noexcept { return start + 0x10; }
  std::uint16_t saved() const noexcept { return start + 0x18; }
  bool flat() const noexcept { return pimpl == 0; }

  /// All fields lie in so many bytes from the start of the C++ object (flat: the PyGreenlet), in any version.
  static constexpr std::uint16_t most = 0xd8;
  /// In this one: what lies behind them need not be readable.
  std::uint16_t size() const noexcept;

  friend bool operator==(const GreenletLayout&, const GreenletLayout&) = default;
};

/// ThreadState of greenlet 2.0 and newer begins so.
struct GreenletThreadState {
  Address main = 0;     ///< PyGreenlet of the thread's main greenlet
  Address current = 0;  ///< PyGreenlet that runs
};

/// The layout of greenlet 1.x and 0.4.17. It is the same in all of them but for the end, which the size of
/// the type tells. `unsupported` when that is none of the known sizes, or not that of the CPython it runs in.
Result<GreenletLayout> flat_layout(const Memory& memory, const GreenletExtension& extension,
                                   std::optional<PythonVersion> python);

/// Finds out the layout of greenlet 2.0 and newer from C++ objects found by their vtables. `hits`: addresses
/// that hold a vtable of the extension. None when there are no hits. What the objects say must hold together
/// and, where the version of CPython is known, be compatible with the table: `unsupported` says what did not
/// fit.
///
/// `current_frame` is set when some greenlet shows it or the table knows it.
Result<std::optional<GreenletLayout>> calibrate(const Memory& memory, const GreenletExtension& extension,
                                                std::span<const Address> hits,
                                                std::optional<PythonVersion> python);

}  // namespace coppice::inspect
