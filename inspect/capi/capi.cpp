// The C ABI on top of Session: every exception ends here, every failure becomes a sentence.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "inspect/capi/coppice_inspect.h"
#include "inspect/capi/lent_target.hpp"
#include "inspect/export/json.hpp"
#include "inspect/snapshot/session.hpp"

using namespace coppice::inspect;

/// What the opaque handle is.
struct cpi_session {
  explicit cpi_session(std::unique_ptr<LentTarget> lent) : target(lent.get()), session(std::move(lent)) {}

  LentTarget* target;  // owned by `session`
  Session session;
  std::optional<Snapshot> everyone;  // since the last cpi_stopped, for cpi_stack_of
  std::string json;                  // what cpi_snapshot handed out
  std::vector<std::byte> bytes;      // what cpi_stack_of handed out
};

namespace {

thread_local std::string last_error;

/// Runs `body`; what it throws becomes the last error, and `failed` the result.
template <class Value, class Body>
Value guarded(Value failed, Body body) noexcept {
  try {
    return body();
  } catch (const std::exception& problem) {
    last_error = problem.what();
  } catch (...) {
    last_error = "unknown failure";
  }
  return failed;
}

template <class Value>
Value fail(Value failed, std::string message) {
  last_error = std::move(message);
  return failed;
}

void shorten(Snapshot& snapshot, std::uint64_t max_frames) {
  for (auto& greenlet : snapshot.greenlets) {
    if (greenlet.frames.size() > max_frames) greenlet.frames.resize(max_frames);
  }
}

bool continues_somewhere(const Greenlet& greenlet) {
  return greenlet.registers.known(x86_64::rip) && greenlet.registers.known(x86_64::rsp);
}

Result<const Snapshot*> take_everyone(cpi_session& session, bool frames) {
  SnapshotOptions options;
  options.frames = frames;
  options.symbols = false;
  auto taken = session.session.take(options);
  if (!taken.ok()) return std::move(taken).error();
  return &session.everyone.emplace(std::move(*taken));
}

/// Null when there is none.
const SnapshotGreenlet* entry_of(const Snapshot& everyone, const char* id) {
  const auto found =
      std::ranges::find(everyone.greenlets, id, [](const SnapshotGreenlet& g) { return g.greenlet.id; });
  return found != everyone.greenlets.end() ? &*found : nullptr;
}

/// The same of the snapshot that is there, or of a new one. One without frames does not tell where greenlets
/// of our runtime continue, which is read from their stacks: then all are walked, once.
Result<const SnapshotGreenlet*> find_entry(cpi_session& session, const char* id) {
  const Snapshot* everyone = session.everyone ? &*session.everyone : nullptr;
  if (everyone == nullptr) {
    auto taken = take_everyone(session, false);
    if (!taken.ok()) return std::move(taken).error();
    everyone = *taken;
  }
  const SnapshotGreenlet* entry = entry_of(*everyone, id);
  if (entry == nullptr || entry->end != End::unwalked) return entry;
  const Greenlet& greenlet = entry->greenlet;
  if (!asleep(greenlet.state) || greenlet.error || continues_somewhere(greenlet)) return entry;
  auto walked = take_everyone(session, true);
  if (!walked.ok()) return std::move(walked).error();
  return entry_of(**walked, id);
}

}  // namespace

std::uint32_t cpi_abi_version() {
  return CPI_ABI_VERSION;
}

const char* cpi_last_error() {
  return last_error.c_str();
}

cpi_session* cpi_open(const cpi_lender* lender) {
  return guarded<cpi_session*>(nullptr, [&]() -> cpi_session* {
    if (lender == nullptr || lender->size < sizeof *lender || lender->read == nullptr) {
      return fail(nullptr, "the debugger lends no memory");
    }
    return new cpi_session(std::make_unique<LentTarget>(*lender));
  });
}

void cpi_close(cpi_session* session) {
  delete session;
}

std::int32_t cpi_stopped(cpi_session* session, const cpi_picture* picture) {
  return guarded(-1, [&] {
    if (session == nullptr || picture == nullptr) return fail(-1, "no session or no picture");
    session->everyone.reset();
    const auto done = session->target->set(*picture);
    return done.ok() ? 0 : fail(-1, done.error().message);
  });
}

const char* cpi_snapshot(cpi_session* session, std::uint32_t what, const char* const* ids,
                         std::uint64_t id_count, std::uint64_t max_frames) {
  return guarded<const char*>(nullptr, [&]() -> const char* {
    if (session == nullptr || (id_count != 0 && ids == nullptr)) return fail(nullptr, "no session");
    SnapshotOptions options;
    options.frames = (what & CPI_FRAMES) != 0;
    options.symbols = (what & CPI_SYMBOLS) != 0;
    options.ids.assign(ids, ids + id_count);
    auto taken = session->session.take(options);
    if (!taken.ok()) return fail(nullptr, taken.error().message);
    if (max_frames != 0) shorten(*taken, max_frames);
    session->json = to_json(
        *taken,
        {.frames = options.frames, .groups = (what & CPI_GROUPS) != 0, .waits = (what & CPI_WAITS) != 0});
    if (id_count == 0) session->everyone = std::move(*taken);
    return session->json.c_str();
  });
}

std::int32_t cpi_stack_of(cpi_session* session, const char* id, cpi_stack* out) {
  return guarded(-1, [&] {
    constexpr std::uint64_t least = offsetof(cpi_stack, outermost_sp);
    if (session == nullptr || id == nullptr || out == nullptr || out->size < least) {
      return fail(-1, "no session, no id, or no place for the answer");
    }
    const auto found = find_entry(*session, id);
    if (!found.ok()) return fail(-1, found.error().message);
    if (*found == nullptr) return fail(-1, fmt::format("no greenlet {}", id));
    const SnapshotGreenlet& entry = **found;
    const Greenlet& greenlet = entry.greenlet;
    if (!asleep(greenlet.state)) {
      return fail(-1, fmt::format("greenlet {} is {}: it has no stack of its own", id, name(greenlet.state)));
    }
    if (greenlet.error) return fail(-1, greenlet.error->message);

    const Slice& slice = greenlet.slice;
    if (slice.stop < slice.start || slice.saved > slice.size()) {
      return fail(-1, fmt::format("greenlet {} has an impossible slice", id));
    }
    if (!continues_somewhere(greenlet)) {
      return fail(-1, fmt::format("it is not known where greenlet {} continues", id));
    }
    // Only the saved part: the rest still lies where the debugger sees it anyway.
    const Slice saved{slice.start, slice.start + slice.saved, slice.copy, slice.saved};
    const auto bytes = SliceMemory::fetch(saved, session->target->memory());
    session->bytes.assign(bytes.stack().begin(), bytes.stack().end());
    cpi_stack stack{};
    stack.size = out->size;
    stack.start = slice.start;
    stack.stop = slice.stop;
    stack.copy = slice.copy;
    stack.saved = slice.saved;
    stack.bytes = reinterpret_cast<const std::uint8_t*>(session->bytes.data());
    stack.byte_count = session->bytes.size();
    stack.orphaned = greenlet.state == State::orphaned ? 1 : 0;
    for (unsigned n = 0; n < CPI_REGISTERS; ++n) {
      if (!greenlet.registers.known(n)) continue;
      stack.known |= 1U << n;
      stack.registers[n] = greenlet.registers.get(n);
    }
    stack.outermost_sp =
        entry.end == End::unwalked ? session->session.outermost_sp(greenlet) : entry.outermost_sp;
    std::memcpy(out, &stack, std::min<std::uint64_t>(out->size, sizeof stack));
    return 0;
  });
}
