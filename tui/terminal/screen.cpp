#include "tui/terminal/screen.hpp"

// ncurses would define `clear`, `move` and other ordinary words as macros.
#define NCURSES_NOMACROS 1
#include <curses.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "tui/terminal/capabilities.hpp"
#include "tui/terminal/terminal_guard.hpp"
#include "tui/terminal/theme.hpp"

namespace coppice::tui {
namespace {

constexpr int escape_delay_ms = 25;  // how long a lone ESC waits for the rest of a sequence

short color_number(Color color) {
  return static_cast<short>(color);
}

}  // namespace

struct Screen::Impl {
  SCREEN* screen = nullptr;
  bool colors = false;
  std::optional<TerminalGuard> guard;

  /// One colour pair for each combination in use, made when first needed.
  std::array<std::array<short, 9>, 9> pairs{};
  short last_pair = 0;

  attr_t attributes(const Look& l, short& pair) {
    attr_t out = A_NORMAL;
    if (l.bold) out |= A_BOLD;
    if (l.dim) out |= A_DIM;
    if (l.reverse) out |= A_REVERSE;
    if (l.underline) out |= A_UNDERLINE;
    pair = 0;
    if (colors && (l.foreground != Color::normal || l.background != Color::normal)) {
      short& known = pairs.at(static_cast<std::size_t>(color_number(l.foreground) + 1))
                         .at(static_cast<std::size_t>(color_number(l.background) + 1));
      if (known == 0 &&
          ::init_pair(++last_pair, color_number(l.foreground), color_number(l.background)) == OK) {
        known = last_pair;
      }
      pair = known;
    }
    return out;
  }

  void set_style(Style style) {
    short pair = 0;
    const attr_t attribute = attributes(look(style, colors), pair);
    ::wattr_set(stdscr, attribute, pair, nullptr);
  }
};

inspect::Result<std::unique_ptr<Screen>> Screen::open(bool colors) {
  termios modes{};
  if (::isatty(STDOUT_FILENO) == 0 || ::tcgetattr(STDIN_FILENO, &modes) != 0) {
    return inspect::Error{inspect::ErrorCode::io, 0,
                          "standard input or output is no terminal; use --once for plain text"};
  }
  auto impl = std::make_unique<Impl>();
  ::set_escdelay(escape_delay_ms);
  impl->screen = ::newterm(nullptr, stdout, stdin);
  if (impl->screen == nullptr) {
    const char* term = std::getenv("TERM");
    return inspect::Error{inspect::ErrorCode::io, 0,
                          std::string("the terminal type \"") + (term != nullptr ? term : "") +
                              "\" is not known here; set TERM to a known one (xterm, vt100), or use --once"};
  }
  impl->guard.emplace(STDIN_FILENO, modes, restoring_sequences());
  ::cbreak();
  ::noecho();
  ::nonl();
  ::intrflush(stdscr, FALSE);
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::curs_set(0);
  if (colors && ::has_colors() && ::start_color() == OK && ::use_default_colors() == OK) impl->colors = true;
  return std::unique_ptr<Screen>(new Screen(std::move(impl)));
}

Screen::Screen(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Screen::~Screen() {
  ::endwin();
  impl_->guard.reset();
  ::delscreen(impl_->screen);
}

Size Screen::size() const {
  int rows = 0;
  int columns = 0;
  rows = ::getmaxy(stdscr);
  columns = ::getmaxx(stdscr);
  return {static_cast<std::size_t>(rows > 0 ? rows : 0), static_cast<std::size_t>(columns > 0 ? columns : 0)};
}

void Screen::clear() {
  ::werase(stdscr);
}

void Screen::draw(std::size_t row, const Line& line) {
  const Size whole = size();
  if (row >= whole.rows || ::wmove(stdscr, static_cast<int>(row), 0) == ERR) return;
  std::size_t left = whole.columns;
  for (const Span& span : line.spans) {
    const std::string_view text = head(span.text, left);
    impl_->set_style(line.whole == Style::plain ? span.style : line.whole);
    // ERR in the last cell of the screen is ordinary: the cursor cannot advance any further.
    ::waddnstr(stdscr, text.data(), static_cast<int>(text.size()));
    left -= width(text);
    if (text.size() < span.text.size()) break;
  }
  const Style rest = line.whole == Style::plain ? line.rest : line.whole;
  if (rest != Style::plain && left > 0) {
    impl_->set_style(rest);
    const std::string padding(left, ' ');
    ::waddnstr(stdscr, padding.data(), static_cast<int>(padding.size()));
  }
  ::wattrset(stdscr, A_NORMAL);
}

void Screen::show(std::optional<Cursor> cursor) {
  if (cursor) {
    ::wmove(stdscr, static_cast<int>(cursor->row), static_cast<int>(cursor->column));
  }
  ::leaveok(stdscr, cursor ? FALSE : TRUE);
  ::curs_set(cursor ? 1 : 0);
  ::wnoutrefresh(stdscr);
  ::doupdate();
}

std::optional<Key> Screen::read_key() {
  wint_t code = 0;
  const int kind = ::wget_wch(stdscr, &code);
  if (kind == ERR) return std::nullopt;
  if (kind != KEY_CODE_YES) {
    if (code == '\r') return keys::enter;
    if (code == 0x7f || code == '\b') return keys::backspace;
    return static_cast<Key>(code);
  }
  switch (code) {
    case KEY_UP:
      return keys::up;
    case KEY_DOWN:
      return keys::down;
    case KEY_LEFT:
      return keys::left;
    case KEY_RIGHT:
      return keys::right;
    case KEY_PPAGE:
      return keys::page_up;
    case KEY_NPAGE:
      return keys::page_down;
    case KEY_HOME:
    case KEY_FIND:
      return keys::home;
    case KEY_END:
    case KEY_SELECT:
      return keys::end;
    case KEY_BACKSPACE:
      return keys::backspace;
    case KEY_BTAB:
      return keys::back_tab;
    case KEY_ENTER:
      return keys::enter;
    default:
      break;
  }
  if (code >= KEY_F(1) && code <= KEY_F(12)) return keys::function(code - KEY_F(0));
  return keys::named;  // some other key, which nobody waits for
}

void Screen::repaint() {
  ::clearok(curscr, TRUE);
}

void Screen::resized() {
  winsize now{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) != 0 || now.ws_row == 0 || now.ws_col == 0) return;
  ::resizeterm(now.ws_row, now.ws_col);
}

void Screen::suspend() {
  ::endwin();
  if (auto& guard = impl_->guard) guard->arm(false);
}

void Screen::resume() {
  if (auto& guard = impl_->guard) guard->arm(true);
  ::reset_prog_mode();
  ::clearok(curscr, TRUE);
  ::wrefresh(stdscr);
  resized();
}

}  // namespace coppice::tui
