// Real processes: one that was named, or one after the other from a list.
#pragma once

#include "tui/options.hpp"

namespace coppice::tui {

/// Shows the process of `options`.
ExitStatus show_process(const Options& options);

/// Shows which processes have greenlets: on a screen to choose from, or as text.
ExitStatus browse(const Options& options);

}  // namespace coppice::tui
