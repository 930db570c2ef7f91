// The line that search and filter are typed into; it stands in for the function bar meanwhile.
#pragma once

#include <cstdint>
#include <string>

#include "tui/format/key.hpp"
#include "tui/format/line.hpp"

namespace coppice::tui {

/// Edits one piece of text. Characters go in at its end; Backspace takes the last one away.
class SearchLine {
 public:
  enum class Purpose : std::uint8_t { search, filter };
  enum class Outcome : std::uint8_t { changed, next, previous, accepted, cancelled, ignored };

  SearchLine(Purpose purpose, std::string text) : purpose_(purpose), text_(std::move(text)) {}

  Purpose purpose() const noexcept { return purpose_; }
  const std::string& text() const noexcept { return text_; }  ///< UTF-8 or ASCII, as the terminal sent it

  Outcome handle(Key key, Charset charset);

  /// `found` false shows the text as one that matches nothing.
  Line render(bool found, std::size_t columns, Charset charset) const;

 private:
  Purpose purpose_;
  std::string text_;
};

}  // namespace coppice::tui
