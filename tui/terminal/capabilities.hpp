// What terminfo knows of the terminal, beyond what ncurses does by itself.
#pragma once

#include <string>

namespace coppice::tui {

/// What undoes newterm, keypad and curs_set: keys in ordinary mode, cursor shown, no attributes, alternate
/// screen left, as this terminal wants it said. Call after newterm.
std::string restoring_sequences();

}  // namespace coppice::tui
