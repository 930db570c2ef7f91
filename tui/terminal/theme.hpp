// What each style looks like, in colours or without.
#pragma once

#include <cstdint>
#include <string>

#include "tui/format/line.hpp"

namespace coppice::tui {

/// The eight colours every colour terminal has, by their ANSI numbers; `normal` leaves the terminal's own.
enum class Color : std::int8_t { normal = -1, black, red, green, yellow, blue, magenta, cyan, white };

struct Look {
  Color foreground = Color::normal;
  Color background = Color::normal;
  bool bold = false;
  bool dim = false;
  bool reverse = false;
  bool underline = false;
};

/// The look of a style. Without colours what matters is told by bold, underlined and reversed text.
Look look(Style style, bool colors);

/// The line with ANSI escape sequences (SGR), for a terminal that is not driven by ncurses.
std::string with_escapes(const Line& line, bool colors);

/// The user's wish: false when NO_COLOR is set and not empty (no-color.org).
bool colors_wanted();

}  // namespace coppice::tui
