// The names that programs give their greenlets.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/python_runtime.hpp"
#include "inspect/waits/heap.hpp"

namespace coppice::inspect {

/// Its attribute `name`, where it has one that is a str. Provisional while Heap::pending().
std::optional<std::string> given_name(Heap& heap, const Greenlet& greenlet);

/// Sets `name` of those greenlets of CPython that have one. find_waits() does so, too.
void name_greenlets(const Target& target, const PythonRuntime& python, std::span<Greenlet> greenlets);

}  // namespace coppice::inspect
