// One greenlet on the way to what it waits for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "inspect/greenlets/greenlet.hpp"
#include "inspect/waits/context.hpp"
#include "inspect/waits/gevent_objects.hpp"
#include "inspect/waits/heap.hpp"
#include "inspect/waits/python_variables.hpp"

namespace coppice::inspect {

/// An object on a greenlet's stack that gevent may wait on.
struct GeventCandidate {
  Address object = 0;
  GeventKind kind = GeventKind::none;
  const Greenlet* greenlet = nullptr;  ///< it is one: to be joined
  bool known = false;                  ///< what it is has been told
};

/// Keeps between two rounds what has been found out about one greenlet.
struct WaitSearch {
  Greenlet* greenlet = nullptr;
  std::vector<GeventCandidate> candidates;  ///< innermost first, of the first `reached` bytes of the stack
  std::size_t reached = 0;
  std::vector<GeventCandidate> listed;  ///< of the bytes beyond, while it is not known of all what they are
  std::unique_ptr<PythonVariables> variables;  ///< null: nobody has asked yet
  std::uint8_t asked = 0;                      ///< how many kinds of programs it is none of
  bool named = false;
  bool done = false;
};

/// "read socket 7 -> ...", by what it is where that is known.
Waiting wait_for_fd(const WaitContext& context, int fd, const char* direction);

/// `due`: in seconds of the target's CLOCK_MONOTONIC, where it is known.
Waiting wait_for_timer(const WaitContext& context, Address timer, std::optional<double> due);

/// "<Queue at 0x7f...>": an object by the last part of its class's name, as Python would write it.
std::string title_of(Heap& heap, Address object);

/// "queue <Queue at 0x7f...> (empty, 3 getters)".
Waiting wait_for_queue(Heap& heap, Address queue, const QueueUse& use);

}  // namespace coppice::inspect
