#include "tui/terminal/theme.hpp"

#include <fmt/format.h>

#include <cstdlib>

namespace coppice::tui {
namespace {

Look look_in_color(Style style) {
  switch (style) {
    case Style::plain:
      return {};
    case Style::dim:
      return {.foreground = Color::normal, .dim = true};
    case Style::label:
      return {.foreground = Color::cyan};
    case Style::value:
      return {.bold = true};
    case Style::warning:
      return {.foreground = Color::yellow, .bold = true};
    case Style::bad:
      return {.foreground = Color::red, .bold = true};
    case Style::column_title:
      return {.foreground = Color::black, .background = Color::green};
    case Style::sorted_title:
    case Style::selected:
      return {.foreground = Color::black, .background = Color::cyan};
    case Style::selected_idle:
      return {.foreground = Color::black, .background = Color::white};
    case Style::pane_title:
      return {.foreground = Color::black, .background = Color::green};
    case Style::pane_title_focused:
      return {.foreground = Color::black, .background = Color::cyan};
    case Style::key_name:
      return {};
    case Style::key_label:
      return {.foreground = Color::black, .background = Color::cyan};
      return {.foreground = Color::yellow, .bold = true};
    case Style::function:
      return {.bold = true};
    case Style::source:
      return {.foreground = Color::cyan};
    case Style::inlined:
      return {.foreground = Color::magenta};
    case Style::running:
      return {.foreground = Color::green, .bold = true};
    case Style::suspended:
      return {.foreground = Color::cyan};
    case Style::unstarted:
      return {.foreground = Color::yellow};
    case Style::finished:
      return {.dim = true};
    case Style::orphaned:
      return {.foreground = Color::red, .bold = true};
  }
  return {};
}

Look look_in_monochrome(Style style) {
  switch (style) {
    case Style::value:
    case Style::warning:
    case Style::running:
    case Style::function:
      return {.bold = true};
    case Style::bad:
    case Style::orphaned:
      return {.bold = true, .underline = true};
    case Style::sorted_title:
    case Style::pane_title_focused:
      return {.bold = true, .reverse = true};
    case Style::column_title:
    case Style::selected:
    case Style::pane_title:
    case Style::key_label:
      return {.reverse = true};
    case Style::selected_idle:
      return {.underline = true};
    default:
      return {};
  }
}

}  // namespace

Look look(Style style, bool colors) {
  return colors ? look_in_color(style) : look_in_monochrome(style);
}

std::string with_escapes(const Line& line, bool colors) {
  std::string out;
  for (const Span& span : line.spans) {
    const Look l = look(line.whole == Style::plain ? span.style : line.whole, colors);
    std::string codes;
    if (l.bold) codes += ";1";
    if (l.dim) codes += ";2";
    if (l.underline) codes += ";4";
    if (l.reverse) codes += ";7";
    if (l.foreground != Color::normal) codes += fmt::format(";{}", 30 + static_cast<int>(l.foreground));
    if (l.background != Color::normal) codes += fmt::format(";{}", 40 + static_cast<int>(l.background));
    out += codes.empty() ? span.text : fmt::format("\x1b[{}m{}\x1b[0m", codes.substr(1), span.text);
  }
  return out;
}

bool colors_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

}  // namespace coppice::tui
