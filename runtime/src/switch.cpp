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

#include <algorithm>
#include <cstddef>

#include "cpu.hpp"
#include "recorder.hpp"
#include "sanitizers.hpp"

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
coppice_greenlet* first_owner(coppice_greenlet& from) {
  return from.finished() ? from.above : &from;
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

inline void save(ThreadState& state, coppice_greenlet& owner, std::uintptr_t limit, std::uint64_t now) {
  const std::uintptr_t from = owner.start + owner.slice.saved();
  const std::size_t bytes = owner.slice.save(owner.start, needed(owner, limit));
  if (bytes == 0) return;
  owner.bytes_saved += bytes;
  state.bytes_copied += bytes;
  record(state, COPPICE_EVENT_SAVE, owner.id, from, bytes, now);
}

bool on_stack(const ThreadState& state, std::uintptr_t sp) {
  return sp >= state.stack_low && sp < state.stack_high && sp < state.current->stop;
}

bool on_grown_stack(ThreadState& state, std::uintptr_t sp) {
  find_stack_bounds(state);  // the main thread's limit may have been raised since
  return on_stack(state, sp);
}

struct Departure {
  std::uintptr_t sp;
  Outcome how;
};

/// Opens the three versions that a switch changes. coppice_arrive, or start(), closes them.
std::uint64_t begin(ThreadState& state, coppice_greenlet& from, coppice_greenlet& to) {
  const std::uint64_t now = state.ring != nullptr ? ticks() : 0;
  state.version.begin();
  from.version.begin();
  to.version.begin();
  from.last_switch = to.last_switch = now;
  return now;
}

void end(ThreadState& state, coppice_greenlet& from, coppice_greenlet& to) {
  to.version.end();
  from.version.end();
  state.version.end();
}

/// Makes `to` the current greenlet; its thread runs it from here on. `above` is the next owner upwards of it.
void change_current(ThreadState& state, coppice_greenlet& from, coppice_greenlet& to,
                    coppice_greenlet* above) {
  to.above = above;
  to.state = COPPICE_STATE_RUNNING;
  ++to.switches;
  ++state.switches;
  state.current = &to;
  state.origin = &from;
  to.fiber.enter();
}

/// Starts `to` where the departing greenlet ends, so nothing is in its way; a finished one leaves its whole
/// place to it.
Departure start(ThreadState& state, coppice_greenlet& from, coppice_greenlet& to, std::uintptr_t sp) {
  if (sp - state.stack_low < least_stack) return {sp, Outcome::no_stack};
  const std::uint64_t now = begin(state, from, to);
  from.start = sp;
  if (!from.finished()) from.state = COPPICE_STATE_SUSPENDED;
  to.stop = from.finished() ? from.stop : sp;
  wipe_redzones(sp, to.stop);
  to.fiber.create();
  change_current(state, from, to, first_owner(from));
  record(state, COPPICE_EVENT_SWITCH, to.id, to.stop, 0, now);
  end(state, from, to);
  return {to.stop, Outcome::starts};
}

/// The frames of `from` make way for those of `to`. Above the lower base nothing is exchanged, but for what
/// main gets back.
void exchange_frames(const ThreadState& state, const coppice_greenlet& from, const coppice_greenlet& to) {
  const std::uintptr_t base = std::min({from.stop, to.stop, state.stack_high});
  wipe_redzones(std::min(from.start, to.start), std::max(base, to.start + to.slice.saved()));
}

/// The general case: any number of owners in the way, any of which may need room first.
[[gnu::noinline]] Departure leave(ThreadState& state, coppice_greenlet& from, coppice_greenlet& to,
                                  std::uintptr_t sp) {
  const std::uintptr_t limit = to.stop;
  from.start = sp;  // means nothing to a reader as long as it runs
  coppice_greenlet* const owner = first_owner(from);
  if (!reserve_below(owner, limit, &to)) return {sp, Outcome::no_memory};
  const std::uint64_t now = begin(state, from, to);
  if (!from.finished()) from.state = COPPICE_STATE_SUSPENDED;
  each_owner_below(owner, limit, &to, [&](coppice_greenlet& each) {
    const bool open = &each == &from;
    if (!open) each.version.begin();
    save(state, each, limit, now);
    if (!open) each.version.end();
    return true;
  });
  coppice_greenlet* above = owner;
  while (above != nullptr && above->stop <= limit) above = above->above;
  exchange_frames(state, from, to);
  change_current(state, from, to, above);
  return {to.start, Outcome::switched};
}

}  // namespace

extern "C" {

/// Runs on the departing greenlet's stack, below its resume context at `sp`.
Departure coppice_depart(ThreadState* state, std::uintptr_t sp) {
  coppice_greenlet& from = *state->current;
  coppice_greenlet& to = *state->target;
  if (!on_stack(*state, sp) && !on_grown_stack(*state, sp)) [[unlikely]]
    return {sp, Outcome::off_stack};
  if (!to.started()) [[unlikely]]
    return start(*state, from, to, sp);

  // Nearly always only the departing greenlet is in the way, and has room: leave() without its loops.
  const std::uintptr_t limit = to.stop;
  const bool next = from.above == &to;
  if (from.finished() || (from.stop < limit && !next)) [[unlikely]]
    return leave(*state, from, to, sp);
  const std::uintptr_t end = std::min(from.stop, limit);
  const std::size_t bytes = end > sp ? end - sp : 0;
  if (!from.slice.fits(sp, bytes)) [[unlikely]]
    return leave(*state, from, to, sp);
  const std::uint64_t now = begin(*state, from, to);
  from.start = sp;
  from.state = COPPICE_STATE_SUSPENDED;
  save(*state, from, limit, now);
  exchange_frames(*state, from, to);
  change_current(*state, from, to, from.stop > limit ? &from : next ? to.above : from.above);
  return {to.start, Outcome::switched};
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
  end(*state, *state->origin, to);
}

}  // extern "C"

namespace coppice::internal {

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
