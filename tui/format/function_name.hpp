// Function names for places where there is little room.
#pragma once

#include <string_view>

namespace coppice::tui {

/// What a person calls a demangled function: its name and the class or namespace around it, without
/// parameters. "shop::Server::read(int) const" is "Server::read", "(anonymous namespace)::f(int)" is "f".
/// What belongs to a name, such as template arguments or the parameters of a lambda, stays. What is no
/// function name stays as it is.
std::string_view short_function(std::string_view function);

}  // namespace coppice::tui
