// EhFrame: which FDE covers an address. Only as much of .eh_frame is read as that takes; what an FDE *means*
// is asked of LLVM libunwind alone (learner.hpp).
//
// Layout: Linux Standard Base 5.0, Core, "Exception Frames"; the index .eh_frame_hdr is a header and a table
// of (first address, FDE) pairs sorted by address, both relative to the header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inspect/worker/server/elf_image.hpp"

namespace coppice::inspect::worker {

/// A frame description entry. Addresses are the image's.
struct Fde {
  std::uint64_t address = 0;
  std::uint64_t start = 0;            ///< first address it covers
  std::uint64_t size = 0;             ///< how many it covers
  std::span<std::byte> size_field{};  ///< where `size` stands: 4 or 8 bytes, little endian; else empty
  bool signal_frame = false;          ///< its CIE says that the caller was interrupted

  bool covers(std::uint64_t pc) const noexcept { return pc - start < size; }
};

/// The FDEs of one image. Every read is bounds-checked; nothing found is also the answer to nonsense.
class EhFrame {
 public:
  /// `image` must outlive this.
  explicit EhFrame(const ElfImage& image) : image_(image) {}

  /// The FDE that covers an address. Asks the index of the file first; what that does not find, or a file
  /// without one (gcc -static), is looked up in an index made once from all FDEs.
  std::optional<Fde> find(std::uint64_t address);

 private:
  struct Entry {
    std::uint64_t start;
    std::uint64_t fde;
  };
  std::optional<Fde> parse_fde(std::uint64_t address) const;
  std::optional<Fde> covering(std::uint64_t fde, std::uint64_t address) const;
  std::optional<Fde> find_in_file_index(std::uint64_t address) const;
  std::vector<Entry> make_index() const;

  const ElfImage& image_;
  std::optional<std::vector<Entry>> index_;
};

}  // namespace coppice::inspect::worker
