#include "tui/widgets/search_line.hpp"

#include <array>
#include <climits>
#include <cwchar>

#include "tui/widgets/function_bar.hpp"

namespace coppice::tui {
namespace {

constexpr std::size_t longest_text = 200;

/// The character in the encoding of the locale; empty when it has none.
std::string encoded(Key key) {
  std::array<char, MB_LEN_MAX> bytes{};
  std::mbstate_t state{};
  const std::size_t size = std::wcrtomb(bytes.data(), static_cast<wchar_t>(key), &state);
  return size == static_cast<std::size_t>(-1) ? std::string() : std::string(bytes.data(), size);
}

void remove_last(std::string& text) {
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
  if (!text.empty()) text.pop_back();
}

}  // namespace

SearchLine::Outcome SearchLine::handle(Key key, Charset charset) {
  switch (key) {
    case keys::enter:
      return Outcome::accepted;
    case keys::escape:
      return Outcome::cancelled;
    case keys::function(3):
    case keys::down:
      return Outcome::next;
    case keys::up:
      return Outcome::previous;
    case keys::backspace:
      remove_last(text_);
      return Outcome::changed;
    case U'\x15':
      text_.clear();
      return Outcome::changed;  // ^U
    default:
      break;
  }
  if (key >= keys::named || text_.size() >= longest_text) return Outcome::ignored;
  const std::string bytes = encoded(key);
  if (bytes.empty() || printable(bytes, charset) != bytes) return Outcome::ignored;  // no control characters
  text_ += bytes;
  return Outcome::changed;
}

Line SearchLine::render(bool found, std::size_t columns, Charset charset) const {
  static const std::array search_hints{KeyHint{"Enter", "Done "}, KeyHint{"F3", "Next "},
                                       KeyHint{"Esc", "Cancel "}};
  static const std::array filter_hints{KeyHint{"Enter", "Done "}, KeyHint{"Esc", "Clear "}};
  const bool search = purpose_ == Purpose::search;
  Line line;
  if (columns >= 60)
    line = search ? function_bar(search_hints, columns) : function_bar(filter_hints, columns);
  line.add(search ? " Search: " : " Filter: ", Style::key_label);
  // The end is what is being typed.
  const std::size_t used = line.width();
  const std::size_t room = columns > used + 1 ? columns - used - 1 : 0;
  const std::size_t all = width(text_);
  line.add(skip(text_, all > room ? all - room : 0), found ? Style::value : Style::bad);
  line.cut(columns, charset);
  return line;
}

}  // namespace coppice::tui
