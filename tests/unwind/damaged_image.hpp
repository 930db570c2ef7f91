// A copy of an ELF file whose .eh_frame is to be damaged, and a target that serves it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "inspect/base/unique_fd.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect::testing {

/// One FDE of the copy: where its bytes are in the file, and which ELF virtual addresses it covers.
struct FdeBytes {
  std::size_t file_offset = 0;   ///< of its length field
  std::size_t size = 0;          ///< bytes in the file, length field included
  std::size_t instructions = 0;  ///< file offset of its first CFA instruction
  std::uint64_t start = 0;
  std::uint64_t end = 0;
};

/// A file in memory with its FDEs found by libdw (not by the code under test).
class DamagedImage {
 public:
  explicit DamagedImage(const std::string& path);

  const std::vector<FdeBytes>& fdes() const { return fdes_; }
  /// The FDE that covers an address, or null.
  const FdeBytes* fde_at(std::uint64_t vaddr) const;
  std::size_t eh_frame_offset() const { return eh_frame_offset_; }
  std::size_t eh_frame_size() const { return eh_frame_size_; }
  std::size_t eh_frame_hdr_offset() const { return hdr_offset_; }
  std::size_t eh_frame_hdr_size() const { return hdr_size_; }

  std::vector<std::byte>& bytes() { return bytes_; }
  /// A memfd with the bytes as they are now.
  UniqueFd open() const;
  /// Undoes all damage.
  void heal() { bytes_ = pristine_; }

 private:
  std::vector<std::byte> pristine_;
  std::vector<std::byte> bytes_;
  std::vector<FdeBytes> fdes_;
  std::size_t eh_frame_offset_ = 0;
  std::size_t eh_frame_size_ = 0;
  std::size_t hdr_offset_ = 0;
  std::size_t hdr_size_ = 0;
};

/// The given target, except that images of one module come from a DamagedImage, under a new identity every
/// time it changes.
class DamagedTarget : public Target {
 public:
  /// `path` names the module. Both references must outlive this.
  DamagedTarget(const Target& real, const DamagedImage& image, const std::string& path);

  void image_changed();
  const Module& damaged_module() const { return modules_[damaged_]; }

  Kind kind() const override { return real_.kind(); }
  pid_t pid() const override { return real_.pid(); }
  std::string executable() const override { return real_.executable(); }
  std::string command_line() const override { return real_.command_line(); }
  const Memory& memory() const override { return real_.memory(); }
  std::span<const Module> modules() const override { return modules_; }
  std::span<const Mapping> mappings() const override { return real_.mappings(); }
  std::span<const Thread> threads() const override { return real_.threads(); }
  Result<void> refresh() override { return {}; }
  Result<ThreadRegisters> registers(pid_t tid, Stopping stopping) const override {
    return real_.registers(tid, stopping);
  }
  Result<UniqueFd> open_image(const Module& module) const override;
  Result<UniqueFd> open_debug_file(const Module& module, const std::string& build_id,
                                   const std::string& debug_link) const override {
    return real_.open_debug_file(module, build_id, debug_link);
  }
  std::span<const std::string> warnings() const override { return real_.warnings(); }

 private:
  const Target& real_;
  const DamagedImage& image_;
  std::vector<Module> modules_;
  std::size_t damaged_ = 0;
  unsigned changes_ = 0;
};

}  // namespace coppice::inspect::testing
