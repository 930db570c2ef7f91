// A greenlet as a Provider found it, before its stack is walked.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "inspect/base/interned.hpp"
#include "inspect/memory/slice_memory.hpp"
#include "inspect/python/python_chain.hpp"
#include "inspect/target/registers.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Tested in this order: finished and unstarted before the rest. Main is a mark, not a state.
enum class State : std::uint8_t { unstarted, finished, running, suspended, orphaned };

/// The JSON spelling. Never null.
const char* name(State state) noexcept;

/// Whether it has a stack and does not run: some of it is a saved copy, some may still lie on its thread's.
constexpr bool asleep(State state) noexcept {
  return state == State::suspended || state == State::orphaned;
}

/// What a program said it waits for, or what was found out.
struct Waiting {
  std::string kind;  ///< "fd", "timer", "lock", ...; for our runtime the program's own word
  /// The fd, the milliseconds left, the address of the object, ...; for our runtime the program's own.
  std::uint64_t value = 0;
  /// More for a person, "read socket 7 -> 10.0.0.5:5432 (established)"; may be empty.
  std::string detail{};
  std::optional<std::string> greenlet{};  ///< id of the greenlet it waits for
};

/// Where the Python stack of a greenlet of CPython begins. A running greenlet has none of these: its frames
/// begin at its thread's PyThreadState.
struct PythonPosition {
  Address top_frame = 0;      ///< PyFrameObject of its innermost frame; 0: no Python frame
  Address current_frame = 0;  ///< CPython 3.11 and newer: the _PyInterpreterFrame it continues in
  Address previous_frame =
      0;  ///< greenlet 3.0.0 to 3.0.2 on CPython 3.12: what the top frame's `previous` was
};

/// One greenlet, with its stack bytes when it has any.
struct Greenlet {
  std::string id;       ///< our runtime: spawn number in decimal; CPython: the object's address in hex
  Address address = 0;  ///< of the greenlet's control block
  std::string name;     ///< empty when it has none
  Interned type;        ///< "coppice::Greenlet", "gevent.Greenlet", ...
  Interned provider;    ///< "coppice" or "cpython"
  State state = State::unstarted;
  bool main = false;
  std::optional<pid_t> tid;    ///< as the inspector sees it; empty when its thread has exited or is unknown
  std::optional<pid_t> nstid;  ///< inside the target's PID namespace
  std::optional<std::string> parent;  ///< id
  std::optional<Waiting> waiting;

  /// Meaningful when suspended or orphaned. Running: `stop`, and `start` is where `stack` begins (at sp or up
  /// to a red zone below it).
  Slice slice;
  std::vector<std::byte> stack;  ///< stitched bytes from slice.start on
  Registers registers;           ///< the resume context, or the running thread's registers
  bool exact_pc = false;
  /// CPython: code of the extension, whose frame that started the greenlet reaches over `slice.stop` and so
  /// is not the greenlet's. Empty where a frame must not reach over it.
  AddressRange base_code;
  std::optional<Error> error;  ///< why the stack or some fields are missing (torn, unreadable, not stopped)
  std::optional<PythonPosition> python;  ///< CPython only
  /// CPython only: its Python frames, of the same instant as `stack`. None where these were not read: as for
  /// `stack`, or because it is not known which version of CPython runs it.
  std::optional<PythonChain> python_chain;

  // Our runtime only; empty where a provider does not know.
  Address spawn_pc = 0;                ///< return address of the spawn call; 0 unknown
  std::optional<std::string> spawner;  ///< id of the greenlet that spawned it
  std::uint64_t switches = 0;          ///< times it was switched to
  std::uint64_t bytes_saved = 0;
  std::uint64_t bytes_restored = 0;
  std::uint64_t last_switch = 0;  ///< sequence number of its last switch; orders "newest last"
  std::optional<std::int64_t> last_switch_unix_ns;  ///< CLOCK_REALTIME of its last switch

  /// Whether `switches` and the bytes are counts: greenlet's own extension keeps none.
  bool counted() const { return provider == "coppice"; }
};

}  // namespace coppice::inspect
