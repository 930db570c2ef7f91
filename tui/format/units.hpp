// Numbers as a person reads them, in few columns.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace coppice::tui {

/// "10,012".
std::string grouped(std::uint64_t number);

/// At most five columns: "0", "7.5", "842", "12.3k", "1.2M". Rounded.
std::string short_number(double number);

/// Bytes by powers of 1024 in at most five columns: "512", "1.2K", "45.6M".
std::string short_bytes(double bytes);

/// At most five columns: "0", "850us", "23ms", "1.2s", "3m04", "2h05", "12d". Negative times count as 0.
std::string short_duration(std::chrono::nanoseconds time);

/// "-" for what is not known.
std::string or_dash(const std::optional<std::string>& text);

}  // namespace coppice::tui
