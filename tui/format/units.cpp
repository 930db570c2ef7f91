#include "tui/format/units.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <span>

namespace coppice::tui {
namespace {

std::string scaled(double number, double step, std::span<const char* const> suffixes) {
  if (!(number > 0)) return "0";
  std::size_t power = 0;
  // 999.95 would print as "1000.0".
  while (number >= 999.95 && power + 1 < suffixes.size()) {
    number /= step;
    ++power;
  }
  if (power == 0 && number == std::floor(number)) return fmt::format("{:.0f}", number);
  return fmt::format("{:.{}f}{}", number, number < 99.95 ? 1 : 0, suffixes[power]);
}

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string out = std::to_string(number);
  for (std::size_t at = out.size(); at > 3;) out.insert(at -= 3, 1, ',');
  return out;
}

std::string short_number(double number) {
  static constexpr std::array suffixes{"", "k", "M", "G", "T", "P", "E"};
  return scaled(number, 1000, suffixes);
}

std::string short_bytes(double bytes) {
  static constexpr std::array suffixes{"", "K", "M", "G", "T", "P", "E"};
  return scaled(bytes, 1024, suffixes);
}

std::string short_duration(std::chrono::nanoseconds time) {
  const auto ns = time.count();
  if (ns <= 0) return "0";
  if (ns < 1'000) return fmt::format("{}ns", ns);
  if (ns < 1'000'000) return fmt::format("{}us", ns / 1'000);
  if (ns < 1'000'000'000) return fmt::format("{}ms", ns / 1'000'000);
  const auto seconds = ns / 1'000'000'000;
  if (seconds < 10) return fmt::format("{}.{}s", seconds, ns / 100'000'000 % 10);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3'600) return fmt::format("{}m{:02}", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h{:02}", seconds / 3'600, seconds / 60 % 60);
  return fmt::format("{}d", seconds / 86'400);
}

std::string or_dash(const std::optional<std::string>& text) {
  return text ? *text : "-";
}

}  // namespace coppice::tui
