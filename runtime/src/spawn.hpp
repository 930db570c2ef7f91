// Creating greenlets.
#pragma once

#include <memory>
#include <string_view>

#include "coppice/greenlet.hpp"

namespace coppice::internal {

/// A NUL-terminated string of malloc's, which readers outside follow by its address; nullptr for an empty
/// one.
using Text = std::unique_ptr<char, void (*)(void*)>;
Text copy_text(std::string_view text);  ///< throws std::bad_alloc

/// An unstarted greenlet whose parent is the current one. `caller` is published as the place that spawned it.
Greenlet spawn(Function function, std::string_view name, const void* caller);

}  // namespace coppice::internal
