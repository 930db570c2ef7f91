// The Provider for programs built on our own runtime.
#pragma once

#include <memory>

#include "inspect/greenlets/coppice_reading.hpp"

namespace coppice::inspect {

/// Looks for our runtime in every module of the target (it can be there several times: linked into the
/// program and into a library). Null when there is none. `unsupported` or `corrupt` when no runtime that was
/// found can be read. The target must outlive the provider; its modules must be those it had, or else the
/// provider be made anew.
Result<std::unique_ptr<Provider>> find_coppice(const Target& target, const CoppiceLimits& limits = {});

}  // namespace coppice::inspect
