// The Provider for unmodified CPython processes that use the `greenlet` extension.
#pragma once

#include <memory>

#include "inspect/greenlets/cpython_reading.hpp"

namespace coppice::inspect {

/// Looks for the extension in every module of the target. Null when it is nowhere. Nothing else is looked at
/// yet: a layout that is not known is refused (`unsupported`) by the first reading that finds greenlets. The
/// target must outlive the provider; its modules must be those it had, or else the provider be made anew.
std::unique_ptr<Provider> find_cpython(const Target& target, const CpythonLimits& limits = {});

}  // namespace coppice::inspect
