// Text that is safe to put on a terminal, measured in columns.
//
// Names come from the target and may hold anything: control bytes, broken UTF-8, characters that are two
// columns wide or none. printable() makes them harmless; everything else here expects text that went through
// it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coppice::tui {

/// What the terminal can show. Anything but UTF-8 is treated as ASCII.
enum class Charset : unsigned char { ascii, utf8 };

/// The charset of the current locale (call setlocale first).
Charset locale_charset();

/// `text` with everything escaped that a terminal would act upon or not show: control characters and bytes
/// that are not valid in the charset as \n, \t, \x1b, invisible and direction-changing characters as \u200b.
/// Characters that are wide or combine with the one before them stay as they are.
std::string printable(std::string_view text, Charset charset);

/// Columns that printable text takes.
std::size_t width(std::string_view text);

/// The longest beginning of `text` that fits into `columns`.
std::string_view head(std::string_view text, std::size_t columns);

/// `text` without its first `columns` columns. Half of a wide character is replaced by a space.
std::string skip(std::string_view text, std::size_t columns);

/// `text` cut to at most `columns`; where something was cut off, the last column says so with an ellipsis.
std::string cut(std::string_view text, std::size_t columns, Charset charset);

enum class Align : unsigned char { left, right };

/// `text` cut or padded to exactly `columns`.
std::string fit(std::string_view text, std::size_t columns, Align align, Charset charset);

}  // namespace coppice::tui
