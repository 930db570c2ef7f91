// A line of a view: pieces of text, each with a style by meaning. What a style looks like is Theme's
// business. The screen draws lines through ncurses; --once prints the same lines as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tui/format/text.hpp"

namespace coppice::tui {

enum class Style : std::uint8_t {
  plain,
  dim,
  label,  ///< what a figure is
  value,  ///< the figure
  warning,
  bad,
  column_title,
  sorted_title,  ///< the title of the column that the list is sorted by
  selected,
  selected_idle,  ///< selected, but the keys go elsewhere
  pane_title,
  pane_title_focused,
  key_name,
  key_label,
  function,
  source,  ///< file:line
  inlined,
  running,
  suspended,
  unstarted,
  finished,
  orphaned,
};

struct Span {
  std::string text;  ///< printable
  Style style = Style::plain;
};

struct Line {
  std::vector<Span> spans;
  /// Other than plain: the whole line, to the edge of the screen, has this style, whatever its spans say.
  Style whole = Style::plain;
  /// The style of the screen from the last span to the edge.
  Style rest = Style::plain;

  Line() = default;
  Line(std::string text, Style style) { add(std::move(text), style); }

  Line& add(std::string text, Style style = Style::plain);

  std::size_t width() const;
  std::string text() const;

  /// Cuts to at most `columns`, with an ellipsis where something was cut off.
  void cut(std::size_t columns, Charset charset);
};

/// Rows and columns of a screen or a part of it.
struct Size {
  std::size_t rows = 0;
  std::size_t columns = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

}  // namespace coppice::tui
