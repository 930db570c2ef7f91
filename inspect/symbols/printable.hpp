// Text from files that anyone may have written, made fit for terminals and JSON.
#pragma once

#include <string>
#include <string_view>

namespace coppice::inspect {

/// The text as valid UTF-8 without control characters: every byte that is a control (C0, DEL, C1) or
/// belongs to no valid UTF-8 sequence becomes "\xNN".
std::string printable(std::string_view text);

}  // namespace coppice::inspect
