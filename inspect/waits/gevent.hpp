// What the greenlets of a gevent program wait for.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/python_layout.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// What helps to say it.
struct WaitContext {
  /// What a file descriptor of the target is: "socket 7 -> 10.0.0.5:5432 (established)"; empty when not
  /// known.
  std::function<std::string(int fd)> describe_fd;
  /// Now, in seconds of the target's CLOCK_MONOTONIC; none for a core.
  std::optional<double> now;
};

/// Sets `waiting` of every suspended greenlet of CPython of which it can be proven (see gevent_objects.hpp),
/// and `name` of those that have one. The C stacks must have been copied; the rest is read from the target.
/// The greenlets of other programs stay as they are.
void find_gevent_waits(const Target& target, const PythonLayout& layout, std::span<Greenlet* const> greenlets,
                       const WaitContext& context);

}  // namespace coppice::inspect
