#include "tui/format/text.hpp"

#include <fmt/format.h>
#include <langinfo.h>

#include <algorithm>
#include <cstdint>
#include <cwchar>

namespace coppice::tui {
namespace {

/// One character of a string: how many bytes it takes and how many columns. `columns` is -1 for what must not
/// be shown as it is.
struct Character {
  std::size_t bytes = 1;
  int columns = -1;
  char32_t code = 0;
  bool valid = false;
};

/// Characters that change what is around them, or cannot be seen: marks of direction, zero-width spaces,
/// separators.
bool deceptive(char32_t code) {
  return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || code == 0xad || code == 0x061c ||
         (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe007f);
}

Character next_character(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return {1, first >= 0x20 && first != 0x7f ? 1 : -1, first, true};
  std::mbstate_t state{};
  wchar_t wide = 0;
  const std::size_t bytes = std::mbrtowc(&wide, text.data(), text.size(), &state);
  if (bytes == 0 || bytes > text.size()) return {1, -1, first, false};  // also (size_t)-1 and -2
  const auto code = static_cast<char32_t>(wide);
  return {bytes, deceptive(code) ? -1 : ::wcwidth(wide), code, true};
}

}  // namespace

Charset locale_charset() {
  return std::string_view(::nl_langinfo(CODESET)) == "UTF-8" ? Charset::utf8 : Charset::ascii;
}

std::string printable(std::string_view text, Charset charset) {
  std::string out;
  out.reserve(text.size());
  bool base_seen = false;  // a combining character needs one before it
  while (!text.empty()) {
    Character c = next_character(text);
    if (charset == Charset::ascii && static_cast<unsigned char>(text.front()) >= 0x80) c = {1, -1, 0, false};
    const bool shown = c.columns > 0 || (c.columns == 0 && base_seen);
    if (shown) {
      out += text.substr(0, c.bytes);
      base_seen = true;
    } else if (c.valid && c.code >= 0x80) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c.code));
    } else if (text.front() == '\n' || text.front() == '\t' || text.front() == '\r') {
      out += text.front() == '\n' ? "\\n" : text.front() == '\t' ? "\\t" : "\\r";
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(text.front())));
    }
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::size_t width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Character c = next_character(text);
    columns += static_cast<std::size_t>(std::max(c.columns, 0));
    text.remove_prefix(c.bytes);
  }
  return columns;
}

std::string_view head(std::string_view text, std::size_t columns) {
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const Character c = next_character(text.substr(bytes));
    const auto needed = static_cast<std::size_t>(std::max(c.columns, 0));
    if (needed > columns) break;
    columns -= needed;
    bytes += c.bytes;
  }
  return text.substr(0, bytes);
}

std::string skip(std::string_view text, std::size_t columns) {
  const std::string_view gone = head(text, columns);
  const bool half = width(gone) < columns && gone.size() < text.size();
  text.remove_prefix(gone.size());
  std::string out;
  if (half) {
    out = " ";
    text.remove_prefix(next_character(text).bytes);
  }
  return out.append(text);
}

std::string cut(std::string_view text, std::size_t columns, Charset charset) {
  const std::string_view fits = head(text, columns);
  if (fits.size() == text.size()) return std::string(text);
  if (columns == 0) return {};
  return std::string(head(text, columns - 1)) + (charset == Charset::utf8 ? "…" : "~");
}

std::string fit(std::string_view text, std::size_t columns, Align align, Charset charset) {
  std::string out = cut(text, columns, charset);
  const std::size_t used = width(out);
  const std::string padding(columns > used ? columns - used : 0, ' ');
  return align == Align::left ? out + padding : padding + out;
}

}  // namespace coppice::tui
