#include "inspect/snapshot/selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>

namespace coppice::inspect {
namespace {

constexpr std::size_t candidates_named = 8;

std::optional<Address> parse_address(std::string_view text) {
  if (!text.starts_with("0x") && !text.starts_with("0X")) return std::nullopt;
  text.remove_prefix(2);
  Address address = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), address, 16);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return address;
}

std::string name_candidates(const std::vector<const Greenlet*>& candidates) {
  std::string text;
  for (std::size_t i = 0; i < std::min(candidates.size(), candidates_named); ++i) {
    text += fmt::format("{}{} ({:#x})", i > 0 ? ", " : "", candidates[i]->id, candidates[i]->address);
  }
  return candidates.size() > candidates_named ? text + ", ..." : text;
}

}  // namespace

Result<const Greenlet*> select_greenlet(std::span<const Greenlet> greenlets, const std::string& wanted) {
  const auto address = parse_address(wanted);
  const std::function<bool(const Greenlet&)> readings[] = {
      [&](const Greenlet& greenlet) { return greenlet.id == wanted; },
      [&](const Greenlet& greenlet) { return address && greenlet.address == *address; },
      [&](const Greenlet& greenlet) { return !wanted.empty() && greenlet.name == wanted; },
  };
  for (const auto& fits : readings) {
    std::vector<const Greenlet*> found;
    for (const Greenlet& greenlet : greenlets) {
      if (fits(greenlet)) found.push_back(&greenlet);
    }
    if (found.size() == 1) return found.front();
    if (found.size() > 1) {
      return Error{ErrorCode::bad_argument, 0,
                   fmt::format("\"{}\" is not one greenlet but {}: {}; give an id or an address", wanted,
                               found.size(), name_candidates(found))};
    }
  }
  return Error{
      ErrorCode::bad_argument, 0,
      fmt::format("there is no greenlet \"{}\": give an id, an address (0x...) or a name that `list` shows",
                  wanted)};
}

}  // namespace coppice::inspect
