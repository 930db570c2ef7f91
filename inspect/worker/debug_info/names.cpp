#include "inspect/worker/debug_info/names.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace coppice::inspect {

std::string bounded_name(std::string_view name) {
  if (name.size() <= max_name) return std::string(name);
  return std::string(name.substr(0, max_name - 3)) + "...";
}

std::string readable_name(std::string_view symbol) {
  if (const auto at = symbol.find('@'); at != std::string_view::npos && at > 0) symbol = symbol.substr(0, at);
  if (symbol.starts_with("_Z") && symbol.size() <= max_mangled_name) {
    struct Free {
      void operator()(char* text) const noexcept { std::free(text); }
    };
    int status = 0;
    const std::unique_ptr<char, Free> text(
        abi::__cxa_demangle(std::string(symbol).c_str(), nullptr, nullptr, &status));
    if (status == 0 && text) return bounded_name(text.get());
  }
  return bounded_name(symbol);
}

}  // namespace coppice::inspect
