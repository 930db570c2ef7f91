// Names as people read them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coppice::inspect {

/// The longest name that is demangled, and the longest that is reported. Demangling a short hostile name can
/// give gigabytes; memory and time are bounded by the worker's limits, what leaves it by this.
inline constexpr std::size_t max_mangled_name = std::size_t{8} << 10;
inline constexpr std::size_t max_name = std::size_t{16} << 10;

/// A symbol's name for a person: without "@VERSION", demangled when it is an Itanium C++ name
/// ("_Z3foov.cold" becomes "foo() [clone .cold]"), cut to `max_name` with "..." at the end.
/// Other names are returned as they are.
std::string readable_name(std::string_view symbol);

/// Cuts to `max_name` bytes, marking the cut with "...".
std::string bounded_name(std::string_view name);

}  // namespace coppice::inspect
