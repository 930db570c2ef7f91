#include "ring_store.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

#include "cpu.hpp"

namespace coppice::internal {

namespace {

constexpr std::uint64_t file_header_bytes = 4096;

void store(std::uint64_t& field, std::uint64_t value) {
  std::atomic_ref<std::uint64_t>(field).store(value, std::memory_order_release);
}

void* map(std::size_t bytes, int flags, int file, std::uint64_t offset) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, file, static_cast<off_t>(offset));
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

RingStore::~RingStore() {
  for (coppice_recorder_ring* ring : all_) munmap(ring, ring_bytes);
}

coppice_recorder_ring* RingStore::claim(std::uint32_t tid) noexcept try {
  coppice_recorder_ring* ring = nullptr;
  if (all_.size() >= many() && !unused_.empty()) {
    ring = unused_.front();
    unused_.erase(unused_.begin());
    store(ring->written, 0);  // before its events go
    std::memset(events_of(ring), 0, ring_events * sizeof(coppice_event));
  } else {
    all_.reserve(all_.size() + 1);
    unused_.reserve(all_.size() + 1);  // so that release() cannot fail
    ring = map_another();
    if (ring == nullptr) {
      refused();
      return nullptr;
    }
    all_.push_back(ring);
  }
  ring->capacity = ring_events;
  ring->tid = tid;
  ring->ended = 0;
  return ring;
} catch (const std::bad_alloc&) {
  refused();
  return nullptr;
}

void RingStore::release(coppice_recorder_ring* ring) noexcept {
  ring->ended = 1;
  unused_.push_back(ring);
}

coppice_recorder_ring* MemoryRings::map_another() noexcept {
  return static_cast<coppice_recorder_ring*>(map(ring_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

std::shared_ptr<FileRings> FileRings::create(const char* path, const coppice_debug_clock& now, int& error) {
  // Another process may have the old file mapped: it must neither shrink nor be written to.
  if (unlink(path) != 0 && errno != ENOENT) {
    error = errno;
    return nullptr;
  }
  const int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    error = errno;
    return nullptr;
  }
  error = posix_fallocate(file, 0, file_header_bytes);
  auto* header =
      error == 0 ? static_cast<coppice_recorder_file*>(map(file_header_bytes, MAP_SHARED, file, 0)) : nullptr;
  if (header == nullptr) {
    if (error == 0) error = errno;
    close(file);
    unlink(path);
    return nullptr;
  }
  header->version = COPPICE_RECORDER_VERSION;
  header->header_size = sizeof *header;
  header->machine = elf_machine;
  header->event_size = sizeof(coppice_event);
  header->ring_header_size = ring_header_bytes;
  header->ring_capacity = ring_events;
  header->first_ring = file_header_bytes;
  header->ring_size = ring_bytes;
  header->pid = static_cast<std::uint64_t>(getpid());
  header->clock_start = header->clock_recent = now;
  store(header->magic, COPPICE_RECORDER_MAGIC);
  return std::shared_ptr<FileRings>(new FileRings(file, header));
}

FileRings::~FileRings() {
  munmap(header_, file_header_bytes);
  close(file_);
}

coppice_recorder_ring* FileRings::map_another() noexcept {
  const std::uint64_t offset = header_->first_ring + header_->ring_count * ring_bytes;
  if (posix_fallocate(file_, static_cast<off_t>(offset), ring_bytes) != 0) return nullptr;
  auto* ring = static_cast<coppice_recorder_ring*>(map(ring_bytes, MAP_SHARED, file_, offset));
  if (ring != nullptr) store(header_->ring_count, header_->ring_count + 1);
  return ring;
}

void FileRings::note_clocks(const coppice_debug_clock& now) noexcept {
  store(header_->clock_version, header_->clock_version + 1);
  std::atomic_thread_fence(std::memory_order_release);
  header_->clock_recent = now;
  store(header_->clock_version, header_->clock_version + 1);
}

}  // namespace coppice::internal
