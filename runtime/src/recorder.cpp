#include "recorder.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

#include "debug_table.hpp"
#include "pool.hpp"
#include "ring_store.hpp"

namespace coppice::internal {

namespace {

/// Never destroyed: threads may record until the process is gone.
struct Recorder {
  std::shared_ptr<RingStore> memory = std::make_shared<MemoryRings>();
  std::shared_ptr<RingStore> store = memory;  ///< where new rings come from; nullptr: off
};

Recorder& recorder() {
  static Recorder* const instance = new Recorder;
  return *instance;
}

std::string with_pid(std::string_view path) {
  std::string result(path);
  const std::string pid = std::to_string(getpid());
  for (std::size_t at = result.find("%p"); at != std::string::npos; at = result.find("%p", at + pid.size())) {
    result.replace(at, 2, pid);
  }
  return result;
}

std::once_flag configured;

int set(coppice_recorder_mode mode, const char* path) {
  std::shared_ptr<RingStore> fresh;
  if (mode == COPPICE_RECORDER_FILE) {
    if (path == nullptr || *path == '\0') return EINVAL;
    int error = 0;
    fresh = FileRings::create(with_pid(path).c_str(), read_clocks(), error);
    if (fresh == nullptr) return error;
  }
  ThreadState* const here = thread_state_or_null;
  const std::scoped_lock lock(registry_mutex);
  Recorder& all = recorder();
  if (mode == COPPICE_RECORDER_MEMORY) fresh = all.memory;
  all.store = std::move(fresh);
  for_each_slot<ThreadState>(coppice_debug_table.threads, [&](ThreadState& state) {
    if (state.tid == 0) return;
    if (&state == here) {
      const Changing changing(state.version);
      attach_ring(state);
    } else {
      state.ring_outdated = true;
      state.attention.store(true, std::memory_order_relaxed);
    }
  });
  return 0;
}

void configure_from_environment() noexcept try {
  const char* const value = std::getenv("COPPICE_RECORDER");
  if (value == nullptr || *value == '\0') return;
  constexpr std::string_view file = "file:";
  const std::string_view text = value;
  int error = EINVAL;
  if (text == "off") error = set(COPPICE_RECORDER_OFF, nullptr);
  if (text == "memory") error = set(COPPICE_RECORDER_MEMORY, nullptr);
  if (text.starts_with(file)) error = set(COPPICE_RECORDER_FILE, value + file.size());
  if (error != 0) {
    std::fprintf(stderr, "coppice: COPPICE_RECORDER=%s: %s; recording to memory\n", value,
                 std::strerror(error));
  }
} catch (const std::bad_alloc&) {
  std::fputs("coppice: no memory to read COPPICE_RECORDER\n", stderr);
}

}  // namespace

void configure_recorder_once() noexcept {
  std::call_once(configured, configure_from_environment);
}

void attach_ring(ThreadState& state) noexcept {
  detach_ring(state);
  Recorder& all = recorder();
  if (all.store == nullptr) return;
  state.ring_store = all.store;
  state.ring_header = all.store->claim(state.tid);
  if (state.ring_header == nullptr) {  // the disk is full
    state.ring_store = all.memory;
    state.ring_header = all.memory->claim(state.tid);
  }
  if (state.ring_header == nullptr) return;
  state.ring = events_of(state.ring_header);
  state.ring_capacity = ring_events;
  state.ring_written = 0;
}

void detach_ring(ThreadState& state) noexcept {
  if (state.ring_header != nullptr) state.ring_store->release(state.ring_header);
  state.ring_store.reset();
  state.ring_header = nullptr;
  state.ring = nullptr;
  state.ring_capacity = state.ring_written = 0;
  state.ring_outdated = false;
}

void note_recorder_clocks(const coppice_debug_clock& now) noexcept {
  if (const auto& store = recorder().store) store->note_clocks(now);
}

void forget_recorder_file() noexcept {
  Recorder& all = recorder();
  if (all.store != nullptr) all.store = all.memory;
}

}  // namespace coppice::internal

extern "C" int coppice_recorder_set(coppice_recorder_mode mode, const char* path) {
  using namespace coppice::internal;
  try {
    std::call_once(configured, [] {});  // the environment has been overruled
    if (mode != COPPICE_RECORDER_OFF && mode != COPPICE_RECORDER_MEMORY && mode != COPPICE_RECORDER_FILE)
      return EINVAL;
    return set(mode, path);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
}
