// A coppice runtime made by hand: an ELF header with a note, a debug table, pools and slices, in a
// FakeMemory. Written from debug_abi.h alone, with field offsets of its own choosing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fake_target.hpp"
#include "inspect/greenlets/coppice_table.hpp"

namespace coppice::inspect::testing {

/// What a test says of one greenlet.
struct FakeGreenlet {
  std::uint64_t id = 0;
  std::uint32_t state = COPPICE_STATE_SUSPENDED;
  std::uint32_t flags = 0;
  int parent = -1;  ///< slot number
  bool has_thread = true;
  Address start = 0, stop = 0;
  std::uint64_t saved = 0;
  std::string name{};
  std::string waiting_kind{};
  std::uint64_t waiting_value = 0;
  std::uint64_t version = 2;
  std::uint64_t last_switch = 0;
};

/// Lays a runtime into memory. Slot n holds greenlet n; two slots fill a chunk. One thread, tid 4242 (77
/// inside), with its stack at [stack_low, stack_high), all of whose bytes are 0xee; a slice's saved bytes
/// count 0, 1, 2, ...
class FakeRuntime {
 public:
  static constexpr Address module_start = 0x400000, table = 0x403000;
  static constexpr Address chunk_list = 0x500000, thread_list = 0x500800, thread_slot = 0x501000,
                           chunks = 0x510000;
  static constexpr Address heap = 0x600000, names = 0x700000;
  static constexpr Address stack_low = 0x7ffc000, stack_high = 0x8000000;
  static constexpr Address resume_pc = 0x401234;
  static constexpr std::uint32_t slot_size = 192, slots_per_chunk = 2;
  static constexpr Address heap_step = 0x3000, names_step = 0x200;

  explicit FakeRuntime(const std::vector<FakeGreenlet>& greenlets);

  FakeMemory memory;
  FakeTarget target;
  DebugTable fields{};  ///< as it lies in memory; put() it again after changing it

  void put_table() { memory.put_value(table, fields); }
  Address slot(std::size_t number) const;
  Address copy(std::size_t number) const { return heap + number * heap_step; }
};

/// Six greenlets: main and running, partly saved, wholly saved, wholly unsaved, unstarted, finished,
/// orphaned.
std::vector<FakeGreenlet> one_of_each();

}  // namespace coppice::inspect::testing
