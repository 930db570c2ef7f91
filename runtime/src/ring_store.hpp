// Where the recorder's rings come from: memory, or a mapped file. The file's layout is coppice/recorder.h's;
// a ring in memory looks the same.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "coppice/recorder.h"

namespace coppice::internal {

constexpr std::uint32_t ring_events = 4096;
constexpr std::uint32_t ring_header_bytes = 4096;  // a page, so that rings of a file can be mapped one by one
constexpr std::uint64_t ring_bytes = ring_header_bytes + std::uint64_t{ring_events} * sizeof(coppice_event);

inline coppice_event* events_of(coppice_recorder_ring* ring) {
  return reinterpret_cast<coppice_event*>(reinterpret_cast<std::byte*>(ring) + ring_header_bytes);
}

/// Hands out rings. Not thread-safe: used under registry_mutex. Mapped rings stay mapped as long as the store
/// lives, and whoever holds a ring keeps its store alive.
class RingStore {
 public:
  RingStore() = default;
  RingStore(const RingStore&) = delete;
  RingStore& operator=(const RingStore&) = delete;
  virtual ~RingStore();

  /// An empty ring for a thread, or nullptr when there is no space.
  coppice_recorder_ring* claim(std::uint32_t tid) noexcept;
  /// The thread is done with it. Its events stay until the ring is claimed again.
  void release(coppice_recorder_ring* ring) noexcept;
  virtual void note_clocks(const coppice_debug_clock&) noexcept {}

 private:
  virtual coppice_recorder_ring* map_another() noexcept = 0;  ///< zeroed
  virtual void refused() noexcept {}
  virtual std::size_t many() const noexcept = 0;  ///< so many rings are mapped before one is used again

  std::vector<coppice_recorder_ring*> all_;
  std::vector<coppice_recorder_ring*> unused_;  ///< longest unused first
};

class MemoryRings final : public RingStore {
  coppice_recorder_ring* map_another() noexcept override;
  std::size_t many() const noexcept override { return 0; }
};

class FileRings final : public RingStore {
 public:
  /// Makes the file, replacing an existing one, with its header. Returns nullptr and sets `error` to an errno
  /// value.
  static std::shared_ptr<FileRings> create(const char* path, const coppice_debug_clock& now, int& error);
  ~FileRings() override;
  void note_clocks(const coppice_debug_clock& now) noexcept override;

 private:
  FileRings(int file, coppice_recorder_file* header) : file_(file), header_(header) {}
  coppice_recorder_ring* map_another() noexcept override;
  void refused() noexcept override { ++header_->rings_refused; }
  std::size_t many() const noexcept override { return COPPICE_RECORDER_MANY_RINGS; }

  int file_;
  coppice_recorder_file* header_;
};

}  // namespace coppice::internal
