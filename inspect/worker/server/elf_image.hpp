// ElfImage: an ELF file mapped as its program would be, without running any of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace coppice::inspect::worker {

/// The PT_LOAD segments of an ELF file at their distances from each other, to be read. Addresses
/// are this process's: address = ELF virtual address + bias(). ET_EXEC files lie at their own addresses where
/// those are free, so that absolute pointers in them hold.
class ElfImage {
 public:
  /// Maps the file, or returns null when it is no ELF file of this machine that could be mapped. The
  /// descriptor is not kept.
  static std::unique_ptr<ElfImage> map(int descriptor);
  ElfImage(const ElfImage&) = delete;
  ElfImage& operator=(const ElfImage&) = delete;
  ~ElfImage();

  std::uint64_t bias() const noexcept { return bias_; }
  std::uint64_t start() const noexcept { return start_; }
  std::uint64_t end() const noexcept { return start_ + span_; }

  /// The bytes from an address to the end of the part of its segment that the file holds; empty outside of
  /// all.
  std::span<std::byte> bytes_from(std::uint64_t address) const noexcept;

  /// Makes bytes of the image writable: they are a private copy. False when that cannot be.
  bool make_writable(std::span<std::byte> bytes) const noexcept;

  /// Address of .eh_frame_hdr (PT_GNU_EH_FRAME), if the file names one.
  std::optional<std::uint64_t> eh_frame_hdr() const noexcept { return eh_frame_hdr_; }
  /// Address of the section .eh_frame, if the file has section headers and such a section.
  std::optional<std::uint64_t> eh_frame() const noexcept { return eh_frame_; }

 private:
  ElfImage() = default;
  bool map_segments(int descriptor, std::uint64_t file_size);
  void find_eh_frame_section(int descriptor, std::uint64_t file_size);

  struct Piece {
    std::uint64_t start;
    std::uint64_t size;
  };
  std::vector<Piece> pieces_;
  std::uint64_t start_ = 0;
  std::uint64_t span_ = 0;
  std::uint64_t bias_ = 0;
  std::optional<std::uint64_t> eh_frame_hdr_;
  std::optional<std::uint64_t> eh_frame_;
};

}  // namespace coppice::inspect::worker
