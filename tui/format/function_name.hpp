// Function names for places where there is little room.
#pragma once

#include <string_view>

namespace coppice::tui {

/// A demangled name up to its parameters: "Server::read(int) const" is "Server::read". Parameters inside
/// names, such as those of a lambda, and "(anonymous namespace)" stay. What is no function name stays as it
/// is.
std::string_view without_parameters(std::string_view function);

}  // namespace coppice::tui
