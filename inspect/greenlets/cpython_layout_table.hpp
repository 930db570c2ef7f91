// The layouts of the greenlet extension that have been seen.
#pragma once

#include <array>
#include <cstdint>

namespace coppice::inspect {

/// One row: which versions, and what calibration must find for them. Offsets in the C++ object.
struct KnownLayout {
  const char* greenlet;
  std::uint8_t python_first, python_last;  ///< minor versions of CPython 3
  std::uint8_t self, start, top_frame, previous_frame, current_frame, main, thread_state;
};

inline constexpr std::array known_layouts{
    KnownLayout{"2.0.0 to 3.1.0", 8, 9, 0x80, 0x40, 0x70, 0, 0, 0x88, 0x88},
    KnownLayout{"2.0.0 to 3.1.0", 10, 10, 0x90, 0x40, 0x70, 0, 0, 0x98, 0x98},
    KnownLayout{"2.0.0 to 3.1.0", 11, 11, 0xa0, 0x30, 0x60, 0, 0x80, 0xa8, 0xa8},
    KnownLayout{"3.0.3 to 3.1.0", 12, 12, 0xa0, 0x30, 0x60, 0, 0x80, 0xa8, 0xa8},
    KnownLayout{"3.0.0 to 3.0.2", 12, 12, 0xa8, 0x30, 0x60, 0xa0, 0x80, 0xb0, 0xb0},
    KnownLayout{"3.1.0", 13, 13, 0x98, 0x30, 0x60, 0, 0x78, 0xa0, 0xa0},
    KnownLayout{"3.1.1 and newer", 8, 9, 0x08, 0x48, 0x78, 0, 0, 0x88, 0x90},
    KnownLayout{"3.1.1 and newer", 10, 10, 0x08, 0x48, 0x78, 0, 0, 0x98, 0xa0},
    KnownLayout{"3.1.1 and newer", 11, 12, 0x08, 0x38, 0x68, 0, 0x88, 0xa8, 0xb0},
    KnownLayout{"3.1.1 to 3.5.2", 13, 13, 0x08, 0x38, 0x68, 0, 0x80, 0xa0, 0xa8},
    KnownLayout{"3.5.3 and newer", 13, 13, 0x08, 0x38, 0x68, 0, 0x88, 0xa8, 0xb0},
    KnownLayout{"3.2.2 and 3.2.3", 14, 14, 0x08, 0x38, 0x68, 0, 0x80, 0xa0, 0xa8},
    KnownLayout{"3.2.4 and 3.2.5", 14, 14, 0x08, 0x38, 0x68, 0, 0x88, 0xa8, 0xb0},
    KnownLayout{"3.3.0 to 3.5.2", 14, 15, 0x08, 0x38, 0x68, 0, 0x90, 0xb0, 0xb8},
    KnownLayout{"3.5.3 and newer", 14, 15, 0x08, 0x38, 0x68, 0, 0x98, 0xb8, 0xc0},
};

}  // namespace coppice::inspect
