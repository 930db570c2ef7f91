// Reads another process's greenlets by nothing but debug_abi.h: the shortest complete reader, for tests of
// the runtime alone.
#pragma once

#include <coppice/debug_abi.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

using DebugTable = struct coppice_debug_table;  // the variable has the same name

/// One greenlet slot, read consistently, with its stack if it is suspended or orphaned.
struct OutsideGreenlet {
  std::uint64_t version, id, thread, parent, start, stop, copy, saved, name, spawn_pc, spawner;
  std::uint64_t switches, bytes_saved, bytes_restored, last_switch, waiting_kind, waiting_value;
  std::uint32_t state, flags;
  std::vector<std::byte> stack;  ///< [start, stop): the copy, and what still lies on the thread's stack

  bool has_stack() const { return state == COPPICE_STATE_SUSPENDED || state == COPPICE_STATE_ORPHANED; }
};

class OutsideReader {
 public:
  OutsideReader(pid_t pid, std::uint64_t table_address) : pid_(pid), table_address_(table_address) {}

  /// The table, its pools read consistently. Empty when the process cannot be read.
  std::optional<DebugTable> table() const;
  /// Addresses of all slots of a pool.
  std::vector<std::uint64_t> slots(const coppice_debug_pool& pool) const;
  /// One greenlet; empty when it was torn or is unreadable. A main greenlet's stack is not read. `judge`, if
  /// given, has the bytes of a torn reading too.
  std::optional<OutsideGreenlet> greenlet(const DebugTable& table, std::uint64_t slot,
                                          OutsideGreenlet* torn = nullptr) const;
  std::string text(std::uint64_t address) const;
  bool read(std::uint64_t address, void* to, std::size_t bytes) const;

 private:
  pid_t pid_;
  std::uint64_t table_address_;
};
