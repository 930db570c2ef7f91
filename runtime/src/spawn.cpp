#include "spawn.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "cpu.hpp"
#include "lifetime.hpp"
#include "recorder.hpp"

namespace coppice::internal {

Text copy_text(std::string_view text) {
  if (text.empty()) return Text(nullptr, std::free);
  Text copy(static_cast<char*>(std::malloc(text.size() + 1)), std::free);
  if (copy == nullptr) throw std::bad_alloc();
  std::memcpy(copy.get(), text.data(), text.size());
  copy.get()[text.size()] = '\0';
  return copy;
}

Greenlet spawn(Function function, std::string_view name, const void* caller) {
  if (!function) throw GreenletError("a greenlet needs a function to run");
  ThreadState& state = thread_state();
  auto heap = std::make_unique<Function>(std::move(function));
  Text text = copy_text(name);
  coppice_greenlet* const block = take_block(state, COPPICE_STATE_UNSTARTED);
  add_reference(state.current);
  {
    const Changing changing(block->version);
    block->parent = state.current;
    block->function = heap.release();
    block->name = text.release();
    block->spawn_pc = caller;
    block->spawner = state.current->id;
  }
  if (state.ring != nullptr) {
    const Changing changing(state.version);
    record(state, COPPICE_EVENT_SPAWN, block->id, reinterpret_cast<std::uintptr_t>(caller), 0, ticks());
  }
  return Greenlet::share(block);
}

}  // namespace coppice::internal
