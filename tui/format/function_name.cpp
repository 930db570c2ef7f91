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

std::string_view short_function(std::string_view function) {
  int depth = 0;             // inside <...> or {...}
  std::size_t last = 0;      // where the last component begins
  std::size_t previous = 0;  // and the one before it
  std::size_t end = function.size();
  for (std::size_t at = 0; at < end; ++at) {
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
      end = at;
    } else if (rest.starts_with("::") && depth == 0) {
      previous = last;
      last = ++at + 1;
    }
  }
  const std::string_view around = function.substr(previous, last - previous);
  if (around.starts_with(anonymous)) previous = last;
  return function.substr(previous, end - previous);
}

}  // namespace coppice::tui
