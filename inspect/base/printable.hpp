// Text from the target made safe for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coppice::inspect {

/// Names come from the target, and the target may lie: control characters (a terminal obeys them) and bytes
/// that are no valid UTF-8 become \xNN. Everything else stays as it is.
std::string printable(std::string_view text);

/// How many terminal cells printable text takes, counting one for every code point.
std::size_t cells(std::string_view text);

/// The text cut to so many cells, its last one then being an ellipsis.
std::string cut_to_cells(std::string_view text, std::size_t limit);

}  // namespace coppice::inspect
