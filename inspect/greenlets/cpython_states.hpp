// Which greenlets run, sleep or have ended, and on whose thread.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "inspect/greenlets/cpython_fields.hpp"
#include "inspect/greenlets/cpython_stacks.hpp"
#include "inspect/greenlets/greenlet.hpp"

namespace coppice::inspect {

/// One thread as the greenlet extension knows it.
struct GreenletThread {
  Address key = 0;       ///< its main greenlet (flat: its PyThreadState's dict)
  bool exited = false;   ///< there is no such thread any more
  Address current = 0;   ///< PyGreenlet that runs
  bool unknown = false;  ///< which one that is cannot be read
  Address state = 0;     ///< ThreadState; 0 when exited, and flat
  std::optional<pid_t> tid, nstid;
  std::optional<ThreadStack> stack;
};

/// All of a reading's greenlets as one picture. Built from their fields; reads little itself. Thread-safety:
/// one thread at a time.
class GreenletStates {
 public:
  GreenletStates() = default;  ///< of no greenlets
  /// `all` must outlive the picture.
  GreenletStates(const Target& target, const GreenletExtension& extension,
                 std::span<const PythonThread> python, const ThreadStacks& stacks,
                 std::span<const GreenletFields> all);

  /// Some greenlets could not be read, any of which may be one that runs.
  void doubt();

  /// Some thread runs none of its greenlets.
  bool amid_switch() const;

  State state(const GreenletFields& fields) const;
  /// Null when it is not known: a greenlet that has not started has none but its parents'.
  const GreenletThread* thread(const GreenletFields& fields) const;
  /// The thread it would start on: that of the next started greenlet among its parents.
  const GreenletThread* thread_or_parents(const GreenletFields& fields) const;
  bool is_known(Address object) const { return index().contains(object); }

 private:
  void find_threads_by_state(const Memory& memory);
  void find_threads_by_dict(const Memory& memory, std::span<const PythonThread> python);
  void find_stacks(const ThreadStacks& stacks, const Target& target);
  void find_by_thread_locals(const Memory& memory, const GreenletExtension& extension,
                             std::span<const PythonThread> python);
  void find_stacks_by_tid(const ThreadStacks& stacks, const Target& target);
  Address key(const GreenletFields& fields) const;
  const std::unordered_map<Address, std::size_t>& index() const;
  static void settle(GreenletThread& thread, const ThreadStack& stack);

  bool flat_ = false;
  std::span<const GreenletFields> all_;
  mutable std::unordered_map<Address, std::size_t> index_;  ///< see index()
  std::map<Address, GreenletThread> threads_;
};

}  // namespace coppice::inspect
