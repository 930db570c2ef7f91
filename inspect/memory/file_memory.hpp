// A file's bytes, addressed by offset: the readers of ELF files and cores read those like any other memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "inspect/base/unique_fd.hpp"
#include "inspect/memory/memory.hpp"

namespace coppice::inspect {

/// Reads by pread(2), never by mmap: a file that shrinks meanwhile gives short reads instead of SIGBUS. Small
/// reads are served from a few cached blocks; a file that changes after it was opened may show a mixture.
/// Thread-safety: one thread at a time.
class FileMemory final : public Memory {
 public:
  /// Takes the file. A `file` that is not a regular one has size 0.
  explicit FileMemory(UniqueFd file);
  ~FileMemory() override;

  void read_batch(std::span<ReadRequest> requests) const override;

  std::uint64_t size() const noexcept { return size_; }  ///< when it was opened
  int fd() const noexcept { return file_.get(); }

 private:
  struct Block;
  std::size_t read_piece(std::uint64_t offset, std::span<std::byte> into) const;

  UniqueFd file_;
  std::uint64_t size_ = 0;
  mutable std::array<std::unique_ptr<Block>, 32> blocks_;  // direct-mapped by block number
};

}  // namespace coppice::inspect
