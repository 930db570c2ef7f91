// Which greenlets a user means.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "inspect/greenlets/greenlet.hpp"

namespace coppice::inspect {

/// The greenlet that `wanted` means: one whose id it is, else whose address (hexadecimal), else whose name,
/// where exactly one fits. `bad_argument` when none does, or several do (the message names them).
Result<const Greenlet*> select_greenlet(std::span<const Greenlet> greenlets, const std::string& wanted);

}  // namespace coppice::inspect
