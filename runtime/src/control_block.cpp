#include "control_block.hpp"

#include <cstdlib>
#include <utility>

void coppice_greenlet::clear() noexcept {
  std::free(std::exchange(name, nullptr));
  slice.release();
  if (main()) fiber.forget();
  fiber.destroy();
  id = 0;
  state = COPPICE_STATE_FREE;
  flags = 0;
  thread.store(nullptr, std::memory_order_relaxed);
  parent = nullptr;
  start = stop = 0;
  spawn_pc = nullptr;
  spawner = switches = bytes_saved = bytes_restored = last_switch = 0;
  waiting_kind = nullptr;
  waiting_value = 0;
  references.store(0, std::memory_order_relaxed);
  dying = false;
  above = thread_previous = thread_next = next_dropped = nullptr;
}
