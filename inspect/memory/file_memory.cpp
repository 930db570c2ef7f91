#include "inspect/memory/file_memory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace coppice::inspect {

namespace {

constexpr std::size_t kBlock = 16 * 1024;

/// pread until everything is there, the file ends, or it fails.
std::size_t read_fully(int file, std::uint64_t offset, std::span<std::byte> into) {
  std::size_t got = 0;
  while (got < into.size()) {
    const ssize_t piece = pread(file, into.data() + got, into.size() - got, static_cast<off_t>(offset + got));
    if (piece < 0 && errno == EINTR) continue;
    if (piece <= 0) break;
    got += static_cast<std::size_t>(piece);
  }
  return got;
}

}  // namespace

struct FileMemory::Block {
  std::uint64_t number = 0;
  std::size_t size = 0;
  std::array<std::byte, kBlock> bytes;
};

FileMemory::FileMemory(UniqueFd file) : file_(std::move(file)) {
  struct stat status;
  if (file_ && fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
}

FileMemory::~FileMemory() = default;

void FileMemory::read_batch(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) {
    request.got = 0;
    while (request.got < request.into.size()) {
      const std::uint64_t offset = request.address + request.got;
      if (offset < request.address) break;
      const std::size_t got = read_piece(offset, request.into.subspan(request.got));
      if (got == 0) break;
      request.got += got;
    }
  }
}

std::size_t FileMemory::read_piece(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset >= size_) return 0;
  into = into.first(std::min<std::uint64_t>(into.size(), size_ - offset));
  if (into.size() >= kBlock) return read_fully(file_.get(), offset, into);

  const std::uint64_t number = offset / kBlock;
  std::unique_ptr<Block>& block = blocks_[number % blocks_.size()];
  if (!block || block->number != number) {
    if (!block) block = std::make_unique<Block>();
    block->number = number;
    block->size = read_fully(file_.get(), number * kBlock, block->bytes);
  }
  const std::size_t start = offset % kBlock;
  if (start >= block->size) return 0;
  const std::size_t got = std::min(into.size(), block->size - start);
  std::memcpy(into.data(), block->bytes.data() + start, got);
  return got;
}

}  // namespace coppice::inspect
