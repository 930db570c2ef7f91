// One C stack, several owners. High addresses above; `stop` is where a greenlet's part begins, `start` where
// it ends:
//
//      main  |#########|          main.stop = infinity
//            |#########|- - - - - A.stop                 chain: current --> A --> main
//         A  |aaaaaaaaa|
//            |aaaaaaaaa|- - - - - B.stop (started by A)
//   current  |bbbb      <-- sp
//
// A switch from B to main saves B whole and A whole; A's stop lies below infinity. A switch from B to A saves
// B only. Starting C from B saves nothing at all: C begins where B ends. When C then switches to A, C is
// saved whole, B too. A greenlet saved only in part keeps its upper bytes, [start + saved, stop), where they
// always were. Whoever has bytes on the stack is in the chain, ordered by stop; everyone else is wholly in
// the heap.
#include "switch.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstddef>

#include "recorder.hpp"
#include "ticks_x86_64.hpp"

using namespace coppice::internal;

namespace {

/// Below this much stack a new greenlet is refused: it could not even report an error.
constexpr std::uintptr_t least_stack = 16 * 1024;

/// How many bytes from `owner->start` on must be in the heap before anything below `limit` is overwritten.
std::size_t needed(const coppice_greenlet& owner, std::uintptr_t limit) {
  const std::uintptr_t end = std::min(owner.stop, limit);
  return end > owner.start ? end - owner.start : 0;
}

/// The first owner whose bytes count: a finished one has none.
coppice_greenlet* first_owner(const ThreadState& state) {
  coppice_greenlet* current = state.current;
  return current->finished() ? current->above : current;
}

/// Calls visit(owner) for every owner with bytes below `limit`, except `target`, until one returns false.
template <class Visit>
bool each_owner_below(coppice_greenlet* owner, std::uintptr_t limit, const coppice_greenlet* target,
                      Visit visit) {
  for (; owner != nullptr; owner = owner->above) {
    if (owner != target && !visit(*owner)) return false;
    if (owner->stop >= limit) break;
  }
  return true;
}

/// Allocates whatever saving will need, so that it cannot fail half-way.
bool reserve_below(coppice_greenlet* owner, std::uintptr_t limit, const coppice_greenlet* target) {
  return each_owner_below(owner, limit, target, [limit](coppice_greenlet& each) {
    const std::size_t bytes = needed(each, limit);
    if (bytes <= each.slice.saved()) return true;
    if (each.slice.fits(each.start, bytes)) return true;
    const Changing changing(each.version);
    return each.slice.grow(each.start, bytes);
  });
}

void save(ThreadState& state, coppice_greenlet& owner, std::uintptr_t limit, std::uint64_t now) {
  const std::uintptr_t from = owner.start + owner.slice.saved();
  const std::size_t bytes = owner.slice.save(owner.start, needed(owner, limit));
  if (bytes == 0) return;
  owner.bytes_saved += bytes;
  state.bytes_copied += bytes;
  record(state, COPPICE_EVENT_SAVE, owner.id, from, bytes, now);
}

bool off_stack(ThreadState& state, std::uintptr_t sp) {
  if (sp >= state.stack_low && sp < std::min(state.current->stop, state.stack_high)) return false;
  find_stack_bounds(state);  // the main thread's limit may have been raised since
  return sp < state.stack_low || sp >= std::min(state.current->stop, state.stack_high);
}

}  // namespace

extern "C" {

struct Departure {
  std::uintptr_t sp;
  Outcome how;
};

[[gnu::visibility("hidden")]] Outcome coppice_switch_stacks(ThreadState* state);

/// Runs on the departing greenlet's stack, below its resume context at `sp`.
Departure coppice_depart(ThreadState* state, std::uintptr_t sp) {
  coppice_greenlet& from = *state->current;
  coppice_greenlet& to = *state->target;
  const bool starts = !to.started();
  if (off_stack(*state, sp)) return {sp, Outcome::off_stack};
  if (starts && sp - state->stack_low < least_stack) return {sp, Outcome::no_stack};

  // A new greenlet begins where the departing one ends, so nothing is in its way. A finished one leaves its
  // whole place to it.
  const std::uintptr_t limit =
      starts ? (from.finished() ? std::min(from.stop, state->stack_high) : sp) : to.stop;
  from.start = sp;
  coppice_greenlet* const owner = first_owner(*state);
  if (!starts && !reserve_below(owner, limit, &to)) return {sp, Outcome::no_memory};

  const std::uint64_t now = ticks();
  state->version.begin();
  from.version.begin();
  to.version.begin();
  from.last_switch = now;
  if (!from.finished()) from.state = COPPICE_STATE_SUSPENDED;
  coppice_greenlet* above = owner;
  if (!starts) {
    each_owner_below(owner, limit, &to, [&](coppice_greenlet& each) {
      if (&each == &from) {
        save(*state, each, limit, now);
      } else {
        const Changing changing(each.version);
        save(*state, each, limit, now);
      }
      return true;
    });
    while (above != nullptr && above->stop <= limit) above = above->above;
  }
  to.above = above;
  to.last_switch = now;
  to.state = COPPICE_STATE_RUNNING;
  ++to.switches;
  ++state->switches;
  state->current = &to;
  state->origin = &from;
  if (!starts) return {to.start, Outcome::switched};

  to.stop = limit;
  record(*state, COPPICE_EVENT_SWITCH, to.id, limit, 0, now);
  to.version.end();
  from.version.end();
  state->version.end();
  return {limit, Outcome::starts};
}

/// Runs on the target's stack, just below its resume context, which it is about to restore.
[[gnu::visibility("hidden")]] void coppice_arrive(ThreadState* state) {
  coppice_greenlet& to = *state->current;
  const std::size_t bytes = to.slice.restore(to.start);
  const std::uint64_t now = to.last_switch;
  if (bytes != 0) {
    to.bytes_restored += bytes;
    state->bytes_copied += bytes;
    record(*state, COPPICE_EVENT_RESTORE, to.id, to.start, bytes, now);
  }
  record(*state, COPPICE_EVENT_SWITCH, to.id, to.start, 0, now);
  to.version.end();
  state->origin->version.end();
  state->version.end();
}

}  // extern "C"

namespace coppice::internal {

Outcome exchange(ThreadState& state, coppice_greenlet* target) noexcept {
  state.target = target;
  ExceptionGlobals* const globals = state.exception_globals;
  const ExceptionGlobals mine = *globals;  // on this greenlet's stack, so it travels with it
  const Outcome outcome = coppice_switch_stacks(&state);
  *globals = mine;
  return outcome;
}

bool save_all(ThreadState& state) noexcept {
  const std::uintptr_t limit = state.main->stop;
  bool all = true;
  for (coppice_greenlet* owner = state.current->above; owner != nullptr; owner = owner->above) {
    if (owner == state.main) continue;
    const Changing changing(owner->version);
    if (!owner->slice.fits(owner->start, needed(*owner, limit)) &&
        !owner->slice.grow(owner->start, needed(*owner, limit))) {
      all = false;
      continue;
    }
    save(state, *owner, limit, ticks());
  }
  return all;
}

}  // namespace coppice::internal
