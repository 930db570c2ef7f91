// What the greenlets of a Python program wait for.
#pragma once

#include <span>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/python_runtime.hpp"
#include "inspect/target/target.hpp"
#include "inspect/waits/context.hpp"

namespace coppice::inspect {

/// Sets `waiting` of every suspended greenlet of CPython of which it can be proven, and `name` of those that
/// have one. A wait is proven when what is waited for leads back to the greenlet: see gevent.hpp,
/// eventlet.hpp and switched.hpp. The C stacks must have been copied; the rest is read from the target. The
/// greenlets of other programs stay as they are.
void find_waits(const Target& target, const PythonRuntime& python, std::span<Greenlet* const> greenlets,
                const WaitContext& context);

}  // namespace coppice::inspect
