#include "tests/unwind/damaged_image.hpp"

#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace coppice::inspect::testing {
namespace {

template <class T>
T at(const std::vector<std::byte>& bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

DamagedImage::DamagedImage(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto raw = std::as_bytes(std::span(text));
  pristine_.assign(raw.begin(), raw.end());
  bytes_ = pristine_;

  elf_version(EV_CURRENT);
  Elf* elf = elf_memory(reinterpret_cast<char*>(pristine_.data()), pristine_.size());
  std::size_t names = 0;
  if (elf == nullptr || elf_getshdrstrndx(elf, &names) != 0)
    throw std::runtime_error("not an ELF file: " + path);
  std::uint64_t eh_frame_address = 0;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    gelf_getshdr(section, &header);
    const std::string name = elf_strptr(elf, names, header.sh_name);
    if (name == ".eh_frame") {
      eh_frame_offset_ = header.sh_offset;
      eh_frame_size_ = header.sh_size;
      eh_frame_address = header.sh_addr;
    } else if (name == ".eh_frame_hdr") {
      hdr_offset_ = header.sh_offset;
      hdr_size_ = header.sh_size;
    }
  }
  Elf_Data data{};
  data.d_buf = pristine_.data() + eh_frame_offset_;
  data.d_size = eh_frame_size_;
  data.d_type = ELF_T_BYTE;
  const auto* ident = reinterpret_cast<const unsigned char*>(elf_getident(elf, nullptr));
  Dwarf_Off offset = 0;
  Dwarf_Off next = 0;
  Dwarf_CFI_Entry entry;
  for (int status = 0; (status = dwarf_next_cfi(ident, &data, true, offset, &next, &entry)) != 1;
       offset = next) {
    if (status < 0) throw std::runtime_error("libdw cannot read .eh_frame of " + path);
    if (dwarf_cfi_cie_p(&entry)) continue;
    // Compilers write starts relative to themselves, in 4 bytes, and sizes in 4 bytes (0x1b).
    FdeBytes fde;
    fde.file_offset = eh_frame_offset_ + offset;
    fde.size = next - offset;
    const std::size_t field = fde.file_offset + 8;
    fde.start = eh_frame_address + (field - eh_frame_offset_) +
                static_cast<std::uint64_t>(std::int64_t{at<std::int32_t>(pristine_, field)});
    fde.end = fde.start + at<std::uint32_t>(pristine_, field + 4);
    fde.instructions =
        field + 8 + 1 + static_cast<std::size_t>(pristine_[field + 8]);  // behind the augmentation data
    fdes_.push_back(fde);
  }
  elf_end(elf);
}

const FdeBytes* DamagedImage::fde_at(std::uint64_t vaddr) const {
  for (const FdeBytes& fde : fdes_) {
    if (vaddr >= fde.start && vaddr < fde.end) return &fde;
  }
  return nullptr;
}

UniqueFd DamagedImage::open() const {
  UniqueFd file(::memfd_create("damaged", MFD_CLOEXEC));
  std::size_t done = 0;
  while (done < bytes_.size()) {
    const ssize_t wrote = ::write(file.get(), bytes_.data() + done, bytes_.size() - done);
    if (wrote <= 0) throw std::runtime_error("memfd");
    done += static_cast<std::size_t>(wrote);
  }
  return file;
}

DamagedTarget::DamagedTarget(const Target& real, const DamagedImage& image, const std::string& path)
    : real_(real), image_(image), modules_(real.modules().begin(), real.modules().end()) {
  while (damaged_ < modules_.size() && modules_[damaged_].path != path) ++damaged_;
  if (damaged_ == modules_.size()) throw std::runtime_error("no module " + path);
  image_changed();
}

void DamagedTarget::image_changed() {
  modules_[damaged_].identity = "damaged " + std::to_string(++changes_);
}

Result<UniqueFd> DamagedTarget::open_image(const Module& module) const {
  if (module.start == modules_[damaged_].start) return image_.open();
  return real_.open_image(module);
}

}  // namespace coppice::inspect::testing
