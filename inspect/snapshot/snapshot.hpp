// Snapshot: plain data, all that a view may know. DESIGN.md, "Contracts", gives the JSON form.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inspect/base/interned.hpp"
#include "inspect/greenlets/greenlet.hpp"
#include "inspect/python/python_stack.hpp"
#include "inspect/unwind/walk.hpp"

namespace coppice::inspect {

/// One line of a backtrace, innermost first. Empty strings and zeros mean unknown (null in JSON). A Python
/// frame has a function, a file and a line only.
struct Frame {
  enum class Kind : std::uint8_t { native, python };
  Kind kind = Kind::native;
  Address pc = 0;  ///< raw
  Address sp = 0;
  Address cfa = 0;  ///< canonical frame address (not in JSON)
  Interned module;  ///< path
  Interned build_id;
  std::optional<std::uint64_t> offset;  ///< pc as ELF virtual address of its module
  Interned function;
  Interned file;
  std::uint32_t line = 0;
  bool inlined = false;
  bool exact = false;              ///< pc is where execution stands, not a return address (not in JSON)
  bool signal_trampoline = false;  ///< (not in JSON)
  /// Of a Python frame, where SnapshotOptions::locals asked for them; else null, and absent from JSON.
  std::shared_ptr<const PythonLocals> locals;

  /// Function, else module+0xoffset, else the bare address: what a person reads first.
  std::string title() const;
};

/// Which frames are wanted of a stack that has frames of both kinds.
enum class FrameChoice : std::uint8_t {
  merged,  ///< Python frames, and the C frames of extensions and libraries; interpreter machinery folded
  native,  ///< all C frames, and the Python frames, each before the C frame that runs it
  python,  ///< Python frames alone
};

/// What gevent remembers of how a greenlet came to be.
struct Origin {
  /// Qualified name of what it runs, before CPython 3.11 its name; "<functools.partial>", the type, of what
  /// is no function; empty: not known.
  std::string function;
  std::string arguments;                       ///< as in a call: "1, b='x'", values as short texts
  std::optional<std::uint64_t> minimal_ident;  ///< gevent's small number for it, if it ever had to give one
  std::vector<Frame> stack;  ///< Python frames of who spawned it, innermost first, as many as gevent keeps
};

/// A greenlet of a Snapshot: who, how, and its frames.
struct SnapshotGreenlet {
  Greenlet greenlet;  ///< `stack` is emptied once walked
  std::vector<Frame> frames;
  End end = End::unwalked;
  std::optional<Error> error;
  /// The Python stack by itself, where it could not be matched with the native frames: then `unmerged` says
  /// why.
  std::vector<Frame> python_frames;
  std::string unmerged;
  std::optional<Error> python_error;  ///< why Python frames are missing; none when all are there
  Address outermost_sp = 0;      ///< of the outermost native frame; 0: the base was not reached (not in JSON)
  std::optional<Origin> origin;  ///< where SnapshotOptions::origins asked for it
  std::optional<Error> origin_error;  ///< why there is none, though it could be read
  bool chosen =
      true;  ///< its stack was asked for: by SnapshotOptions::ids, or because all were (not in JSON)
};

struct SnapshotThread {
  pid_t tid = 0;
  std::optional<pid_t> nstid;
  std::string name;
  std::optional<std::string> current;  ///< id of the greenlet it runs
  std::optional<std::string> main;     ///< id of its main greenlet
};

struct SnapshotTarget {
  std::string kind;  ///< "live", "core" or "lent"
  pid_t pid = 0;
  std::string executable;
  std::string command_line;
  std::string core;  ///< path of the core file, empty when live
};

struct SnapshotStats {
  std::uint64_t greenlets = 0;
  std::uint64_t unstarted = 0, finished = 0, running = 0, suspended = 0, orphaned = 0;
  std::uint64_t frames = 0;
  std::uint64_t torn = 0, retried = 0, lost = 0;
  std::uint64_t switches = 0, bytes_copied = 0;  ///< totals of the target so far
  std::uint64_t incomplete = 0;                  ///< chosen stacks that did not reach their base
  std::int64_t taken_unix_ns = 0;                ///< CLOCK_REALTIME
  std::uint64_t read_ns = 0, unwind_ns = 0, symbolize_ns = 0;
};

struct Snapshot {
  SnapshotTarget target;
  std::vector<std::string>
      providers;  ///< whose greenlets were looked for: "coppice", "cpython" (not in JSON)
  std::vector<SnapshotThread> threads;
  std::vector<SnapshotGreenlet> greenlets;  ///< newest switch last
  SnapshotStats stats;
  std::vector<std::string> warnings;
  bool target_died = false;  ///< midway: what was read is here
};

/// Sets the counts of greenlets by state, and of incomplete stacks, from the greenlets.
void count_states(Snapshot& snapshot);

/// Why a snapshot without greenlets has none: a sentence for a person, without a full stop.
std::string why_empty(const Snapshot& snapshot);

/// Equal stacks, merged.
struct Group {
  std::vector<std::size_t> members;  ///< indices into Snapshot::greenlets; the first stands for all
};

/// Greenlets with equal frames (pcs, or Python functions and lines), end and state together, largest first;
/// ties by the first member.
std::vector<Group> group_equal_stacks(const Snapshot& snapshot);

}  // namespace coppice::inspect
