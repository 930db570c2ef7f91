#include "inspect/greenlets/greenlet.hpp"

namespace coppice::inspect {

const char* name(State state) noexcept {
  switch (state) {
    case State::unstarted:
      return "unstarted";
    case State::finished:
      return "finished";
    case State::running:
      return "running";
    case State::suspended:
      return "suspended";
    case State::orphaned:
      return "orphaned";
  }
  return "unknown";
}

}  // namespace coppice::inspect
