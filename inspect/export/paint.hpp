// SGR colours, or none.
#pragma once

#include <string>
#include <string_view>

namespace coppice::inspect {

inline constexpr std::string_view bold = "1", dim = "2", red = "31", green = "32", yellow = "33", blue = "34",
                                  cyan = "36";

/// `text` in a colour when there are colours.
inline std::string paint(bool color, std::string_view sgr, std::string_view text) {
  if (!color || text.empty()) return std::string(text);
  std::string painted = "\x1b[";
  painted += sgr;
  painted += 'm';
  painted += text;
  painted += "\x1b[0m";
  return painted;
}

}  // namespace coppice::inspect
