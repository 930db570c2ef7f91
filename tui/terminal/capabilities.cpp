#include "tui/terminal/capabilities.hpp"

#define NCURSES_NOMACROS 1
#include <curses.h>
#include <term.h>  // defines hundreds of short words as macros: keep it out of every other file

#include <cstdint>

namespace coppice::tui {

std::string restoring_sequences() {
  std::string out;
  for (const char* capability : {"rmkx", "cnorm", "sgr0", "rmcup"}) {
    const char* sequence = ::tigetstr(capability);
    // Null: the terminal cannot; -1: terminfo knows no such string.
    if (sequence == nullptr || reinterpret_cast<std::intptr_t>(sequence) == -1) continue;
    std::string text = sequence;
    // Padding ("$<5>") was for the terminals of the 1980s.
    if (const auto padding = text.find("$<"); padding != std::string::npos) text.resize(padding);
    out += text;
  }
  return out;
}

}  // namespace coppice::tui
