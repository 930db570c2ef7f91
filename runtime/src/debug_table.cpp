// The table that debug_abi.h describes. All of it is constant-initialised, so it is right from the first
// instruction.
#include "debug_table.hpp"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <iterator>

#include "control_block.hpp"
#include "cpu.hpp"
#include "recorder.hpp"
#include "thread_state.hpp"

// The offsets are those of plain structs; gcc and clang lay these out the same way although they have
// constructors.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

using coppice::internal::SliceBuffer;
using coppice::internal::ThreadState;

namespace {

constexpr std::uint16_t slice_at = offsetof(coppice_greenlet, slice);

constexpr coppice_debug_greenlet_layout greenlet_layout = {
    .version = offsetof(coppice_greenlet, version),
    .id = offsetof(coppice_greenlet, id),
    .state = offsetof(coppice_greenlet, state),
    .flags = offsetof(coppice_greenlet, flags),
    .thread = offsetof(coppice_greenlet, thread),
    .parent = offsetof(coppice_greenlet, parent),
    .start = offsetof(coppice_greenlet, start),
    .stop = offsetof(coppice_greenlet, stop),
    .copy = slice_at + SliceBuffer::copy_offset(),
    .saved = slice_at + SliceBuffer::saved_offset(),
    .name = offsetof(coppice_greenlet, name),
    .spawn_pc = offsetof(coppice_greenlet, spawn_pc),
    .spawner = offsetof(coppice_greenlet, spawner),
    .switches = offsetof(coppice_greenlet, switches),
    .bytes_saved = offsetof(coppice_greenlet, bytes_saved),
    .bytes_restored = offsetof(coppice_greenlet, bytes_restored),
    .last_switch = offsetof(coppice_greenlet, last_switch),
    .waiting_kind = offsetof(coppice_greenlet, waiting_kind),
    .waiting_value = offsetof(coppice_greenlet, waiting_value),
};

static_assert(offsetof(ThreadState, current) == 16, "the probe in switch_x86_64.S says so");

constexpr coppice_debug_thread_layout thread_layout = {
    .version = offsetof(ThreadState, version),
    .tid = offsetof(ThreadState, tid),
    .current = offsetof(ThreadState, current),
    .main = offsetof(ThreadState, main),
    .stack_low = offsetof(ThreadState, stack_low),
    .stack_high = offsetof(ThreadState, stack_high),
    .switches = offsetof(ThreadState, switches),
    .bytes_copied = offsetof(ThreadState, bytes_copied),
    .ring = offsetof(ThreadState, ring),
    .ring_capacity = offsetof(ThreadState, ring_capacity),
    .ring_written = offsetof(ThreadState, ring_written),
};

constexpr struct coppice_debug_table initial_table() {
  struct coppice_debug_table table{};
  table.magic = COPPICE_DEBUG_MAGIC;
  table.abi_version = COPPICE_DEBUG_ABI_VERSION;
  table.table_size = sizeof(struct coppice_debug_table);
  table.machine = coppice::internal::elf_machine;
  table.event_size = sizeof(coppice_event);
  constexpr auto slots = coppice::internal::resume_slots();
  std::copy(std::begin(slots.at), std::end(slots.at), std::begin(table.resume_slot));
  table.greenlets.slots_per_chunk = 256;
  table.greenlets.slot_size = sizeof(coppice_greenlet);
  table.threads.slots_per_chunk = 16;
  table.threads.slot_size = sizeof(ThreadState);
  table.greenlet = greenlet_layout;
  table.thread = thread_layout;
  table.runtime_version = 1u << 16;  // 0.1.0
  return table;
}

}  // namespace

extern "C" {
constinit struct coppice_debug_table coppice_debug_table = initial_table();
}

namespace coppice::internal {

coppice_debug_clock read_clocks() noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return {ticks(), std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
}

void note_clocks() noexcept {
  auto& table = coppice_debug_table;
  const coppice_debug_clock now = read_clocks();
  if (table.clock_start.ticks == 0) {
    // C++ has no constant addresses as integers, so these three wait for the first use.
    table.resume_pc = reinterpret_cast<std::uint64_t>(&coppice_resume);
    table.entry_start = reinterpret_cast<std::uint64_t>(&coppice_entry);
    table.entry_end = reinterpret_cast<std::uint64_t>(&coppice_entry_end);
    table.clock_start = now;
  }
  const std::atomic_ref<std::uint64_t> version(table.clock_version);
  version.store(table.clock_version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  table.clock_recent = now;
  const std::int64_t elapsed = now.unix_ns - table.clock_start.unix_ns;
  constexpr std::int64_t enough = 10'000'000;  // 10 ms, so that reading the two clocks apart does not matter
  if (elapsed >= enough) {
    const double seconds = static_cast<double>(elapsed) * 1e-9;
    table.ticks_per_second =
        static_cast<std::uint64_t>(static_cast<double>(now.ticks - table.clock_start.ticks) / seconds);
  }
  version.store(table.clock_version + 1, std::memory_order_release);
  note_recorder_clocks(now);
}

}  // namespace coppice::internal
