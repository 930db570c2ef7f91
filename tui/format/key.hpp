// Keys as the widgets see them: a character, or one of the named keys beyond Unicode.
#pragma once

namespace coppice::tui {

using Key = char32_t;

namespace keys {
inline constexpr Key tab = U'\t';
inline constexpr Key enter = U'\n';
inline constexpr Key escape = U'\x1b';
inline constexpr Key space = U' ';

inline constexpr Key named = 0x110000;  ///< the first code that no character has
inline constexpr Key up = named + 1;
inline constexpr Key down = named + 2;
inline constexpr Key left = named + 3;
inline constexpr Key right = named + 4;
inline constexpr Key page_up = named + 5;
inline constexpr Key page_down = named + 6;
inline constexpr Key home = named + 7;
inline constexpr Key end = named + 8;
inline constexpr Key backspace = named + 9;
inline constexpr Key back_tab = named + 10;
/// function(1) is F1.
constexpr Key function(unsigned number) {
  return named + 0x100 + number;
}
}  // namespace keys

}  // namespace coppice::tui
