// What is being inspected: a live process, an ELF core, or memory lent by GDB.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inspect/base/result.hpp"
#include "inspect/base/unique_fd.hpp"
#include "inspect/memory/memory.hpp"
#include "inspect/target/module.hpp"
#include "inspect/target/registers.hpp"

namespace coppice::inspect {

/// One line of the target's memory map.
struct Mapping {
  Address start = 0;
  Address end = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  std::uint64_t file_offset = 0;
  std::string path;  ///< empty for anonymous memory; "[stack]", "[heap]", "[vdso]" as the kernel says
};

/// A stretch of addresses, up to but not with `end`.
struct AddressRange {
  Address start = 0;
  Address end = 0;
  friend bool operator==(const AddressRange&, const AddressRange&) = default;
};

/// One thread of the target.
struct Thread {
  pid_t tid = 0;               ///< as this process sees it
  std::optional<pid_t> nstid;  ///< inside the target's PID namespace, where known
  std::string name;            ///< comm; empty when unknown
  bool on_cpu = false;         ///< was running when looked at (live only)
};

/// A thread's registers and how exact they are.
struct ThreadRegisters {
  Registers registers;
  /// False: only pc and sp are known (/proc/PID/task/TID/syscall of a thread that is blocked in a system
  /// call, stopped by someone else, or waiting long for a page). True: all of them.
  bool complete = false;
};

/// May a running thread be stopped for as long as it takes to copy its registers?
enum class Stopping : std::uint8_t { allowed, never };

/// Where to look for files that the target's own paths do not lead to.
struct FileSearch {
  std::string executable;                ///< --exe: the file to use for the main program of a core
  std::vector<std::string> directories;  ///< --lib-search-path: tried by build-id and by base name
  std::string sysroot;                   ///< prefix for the target's absolute paths; empty for none
};

/// The target. Opening takes a picture of threads, modules and mappings; `refresh()` takes a new one.
/// Does no harm: nothing is ever written, no code runs in the target, and a thread that was stopped for its
/// registers has been let go again when `registers()` returns, on every path.
/// Thread-safety: one thread at a time.
class Target {
 public:
  enum class Kind : std::uint8_t { live, core, lent };

  virtual ~Target() = default;
  virtual Kind kind() const = 0;
  virtual pid_t pid() const = 0;                        ///< 0 when unknown
  virtual std::string executable() const = 0;           ///< path of the main program, empty when unknown
  virtual std::string command_line() const = 0;         ///< arguments joined by spaces, empty when unknown
  virtual std::string core_path() const { return {}; }  ///< of the core file, empty when live
  virtual const Memory& memory() const = 0;
  virtual std::span<const Module> modules() const = 0;    ///< sorted by start
  virtual std::span<const Mapping> mappings() const = 0;  ///< sorted by start
  virtual std::span<const Thread> threads() const = 0;    ///< sorted by tid

  /// The parts of [start, end) that hold anything, sorted and disjoint: of a live process the pages that are
  /// present or swapped out. Reading the others would only make its page tables grow. This default: all of
  /// it.
  virtual std::vector<AddressRange> populated(Address start, Address end) const { return {{start, end}}; }

  /// Takes a new picture. References and spans got before are invalid afterwards, except that modules that
  /// are still mapped keep their identity. `gone` when the process has exited. A core: does nothing.
  virtual Result<void> refresh() = 0;

  /// Registers of one thread. One that is on a CPU, or waits for a page of its memory, is stopped where that
  /// is allowed; `not_stopped` when it is on a CPU and stopping is not allowed or took over 50 ms.
  virtual Result<ThreadRegisters> registers(pid_t tid, Stopping stopping) const = 0;

  /// The same, and calls `copy` with the registers before the thread goes on, so that its stack can be copied
  /// as it belongs to them: a stopped thread is let go when `copy` has returned; when a blocked one moved
  /// meanwhile, all is tried again (`copy` is called again), and after a few times it is `torn`. `copy` must
  /// be quick and not throw. This default is for targets that stand still.
  using WhileHeld = std::function<void(const ThreadRegisters&)>;
  virtual Result<ThreadRegisters> hold(pid_t tid, Stopping stopping, const WhileHeld& copy) const {
    auto result = registers(tid, stopping);
    if (result.ok()) copy(*result);
    return result;
  }

  /// Equal texts before and after mean that no thread has run in between; none while some thread is on a CPU.
  /// This default is for targets that stand still.
  virtual std::optional<std::string> stillness() const { return std::string(); }

  /// Registers of threads that do not run, by tid.
  using StillThreads = std::map<pid_t, ThreadRegisters>;
  using WhileStill = std::function<void(const StillThreads&)>;
  /// Calls `copy` while no thread runs. Threads on a CPU are stopped, and let go again when `copy` returns,
  /// as are those that wait for a page; those that sleep in a system call are only watched, and when one of
  /// them has run meanwhile all are stopped and `copy` is called again: what it did the time before is void.
  /// Threads that someone else has stopped stay so. `copy` must be quick and not throw. Returns why some
  /// threads went on all the same: not stopped within 50 ms, or not permitted. This default is for targets
  /// that stand still.
  virtual std::vector<Error> while_still(const WhileStill& copy) const {
    StillThreads still;
    for (const Thread& thread : threads()) {
      if (auto held = registers(thread.tid, Stopping::never); held.ok()) still.emplace(thread.tid, *held);
    }
    copy(still);
    return {};
  }

  /// A descriptor of the module's ELF image: the file itself when it is the one that was mapped (checked by
  /// build-id), else a memfd with what memory holds. `no_file`, `wrong_executable`, `unreadable`.
  virtual Result<UniqueFd> open_image(const Module& module) const = 0;

  /// A descriptor of a separate debug file or alternate file, found by build-id or debug link below the
  /// search folders and /usr/lib/debug. `no_file` when there is none. Files are matched by build-id where one
  /// is given.
  virtual Result<UniqueFd> open_debug_file(const Module& module, const std::string& build_id,
                                           const std::string& debug_link) const = 0;

  /// Things worth telling the user that did not prevent opening: "core is cut short at ...", "no file for
  /// ...".
  virtual std::span<const std::string> warnings() const = 0;

  /// The module that holds an address, or null. Binary search.
  const Module* module_at(Address address) const;
};

/// Opens a live process. `no_such_process`, `not_permitted` (the message says which setting or capability).
Result<std::unique_ptr<Target>> open_process(pid_t pid, FileSearch search = {});

/// Opens a core file. `not_a_core`, `truncated` only when nothing at all can be shown, `no_file`,
/// `not_permitted`.
Result<std::unique_ptr<Target>> open_core(const std::string& path, FileSearch search = {});

}  // namespace coppice::inspect
