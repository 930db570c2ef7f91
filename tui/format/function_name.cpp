#include "tui/format/function_name.hpp"

#include <cstddef>

namespace coppice::tui {
namespace {

constexpr std::string_view anonymous = "(anonymous namespace)";
constexpr std::string_view op = "operator";

/// Length of the symbol of an operator at the beginning of `text`: "()", "<<", "->".
std::size_t operator_symbol(std::string_view text) {
  if (text.starts_with("()")) return 2;
  const std::size_t end = text.find_first_not_of("<>=-");
  return end == std::string_view::npos ? text.size() : end;
}

}  // namespace

std::string_view without_parameters(std::string_view function) {
  int depth = 0;  // inside <...> or {...}
  for (std::size_t at = 0; at < function.size(); ++at) {
    const std::string_view rest = function.substr(at);
    if (rest.starts_with(op)) {
      at += op.size() + operator_symbol(rest.substr(op.size())) - 1;
    } else if (rest.starts_with(anonymous)) {
      at += anonymous.size() - 1;
    } else if (rest.front() == '<' || rest.front() == '{') {
      ++depth;
    } else if (rest.front() == '>' || rest.front() == '}') {
      --depth;
    } else if (rest.front() == '(' && depth == 0 && at > 0) {
      return function.substr(0, at);
    }
  }
  return function;
}

}  // namespace coppice::tui
