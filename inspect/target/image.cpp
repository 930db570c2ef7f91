#include "inspect/target/image.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "inspect/base/files.hpp"
#include "inspect/memory/file_memory.hpp"
#include "inspect/target/elf_reader.hpp"

namespace coppice::inspect {

namespace {

constexpr std::uint64_t kLargestImage = std::uint64_t{1} << 30;
constexpr std::uint64_t kLargestHashed = std::uint64_t{256} << 20;
constexpr std::size_t kPiece = 256 * 1024;
constexpr std::size_t kPage = 4096;

/// A quick 64-bit hash: multiply and fold words of eight bytes.
class Hash {
 public:
  void add(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      std::uint64_t word = 0;
      const std::size_t size = std::min(bytes.size(), sizeof word);
      std::memcpy(&word, bytes.data(), size);
      value_ = (value_ ^ word) * 0x9e3779b97f4a7c15U;
      value_ ^= value_ >> 29;
      bytes = bytes.subspan(size);
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0x6a09e667f3bcc908U;
};

/// Hash of a part of a file, as far as it goes; of a (sparse, hostile) giant only the beginning.
std::uint64_t hash_of(const Memory& file, std::uint64_t offset, std::uint64_t size) {
  size = std::min(size, kLargestHashed);
  Hash hash;
  std::vector<std::byte> piece(kPiece);
  for (std::uint64_t done = 0; done < size;) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, kPiece));
    const std::size_t got = file.read_some(offset + done, std::span(piece).first(wanted));
    hash.add(std::span(piece).first(got));
    if (got < wanted) break;
    done += got;
  }
  return hash.value();
}

struct FilePart {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// .eh_frame by its section header; in an image without them .eh_frame_hdr, whose table lists all of it.
FilePart find_eh_frame(const ElfHeaders& elf, const Memory& file) {
  auto sections = read_sections(elf, file);
  if (sections.ok()) {
    for (const ElfSection& section : *sections) {
      if (section.name == ".eh_frame" && section.header.sh_type != SHT_NOBITS) {
        return {section.header.sh_offset, section.header.sh_size};
      }
    }
  }
  for (const Elf64_Phdr& segment : elf.segments) {
    if (segment.p_type == PT_GNU_EH_FRAME) return {segment.p_offset, segment.p_filesz};
  }
  return {};
}

bool write_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return true;
}

/// Copies what is readable of [address, address + size), leaving holes of zeros elsewhere.
bool copy_readable(const Memory& memory, Address address, std::uint64_t size, int fd, std::uint64_t offset) {
  std::vector<std::byte> piece(kPiece);
  for (std::uint64_t done = 0; done < size;) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, kPiece));
    const std::size_t got = memory.read_some(address + done, std::span(piece).first(wanted));
    if (!write_all(fd, std::span(piece).first(got), offset + done)) return false;
    done += got;
    if (got < wanted) done += kPage - (address + done) % kPage;  // on to the next page
  }
  return true;
}

UniqueFd borrow_again(int fd) {
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

}  // namespace

std::string file_build_id(int fd) {
  return read_file_build_id(FileMemory(borrow_again(fd)));
}

std::string image_identity(int fd, bool made_from_memory) {
  const FileMemory file(borrow_again(fd));
  auto elf = read_elf_headers(file, 0);
  if (!elf.ok()) return {};
  if (const std::string id = read_file_build_id(file); !id.empty()) {
    FilePart part = find_eh_frame(*elf, file);
    part.size = std::min(part.size, file.size());
    return fmt::format("build-id:{}:{:x}:{:016x}", id, part.size, hash_of(file, part.offset, part.size));
  }
  if (made_from_memory) {
    return fmt::format("memory:{:x}:{:016x}", file.size(), hash_of(file, 0, file.size()));
  }
  struct stat status;
  if (fstat(fd, &status) != 0) return {};
  return fmt::format("file:{:x}:{:x}:{}.{:09}:{:x}", status.st_dev, status.st_ino, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec, status.st_size);
}

Result<UniqueFd> image_from_memory(const Module& module, const Memory& memory) {
  const Segment* first = nullptr;
  std::uint64_t size = 0;
  for (const Segment& segment : module.segments) {
    if (segment.file_offset > kLargestImage || segment.file_size > kLargestImage) {
      return Error{ErrorCode::corrupt, module.start, "the module's segments are too large for an image"};
    }
    if (first == nullptr || segment.file_offset < first->file_offset) first = &segment;
    size = std::max(size, segment.file_offset + segment.file_size);
  }
  if (first == nullptr) return Error{ErrorCode::corrupt, module.start, "the module has no segments"};
  // Offset 0 need not be in a segment exactly, but pages are mapped whole.
  const Address head = first->vaddr + module.bias - first->file_offset % kPage;
  auto elf = read_elf_headers(memory, head);
  if (!elf.ok()) return std::move(elf).error();

  UniqueFd image(memfd_create("coppice-module", MFD_CLOEXEC));
  if (!image) return Error{ErrorCode::io, 0, fmt::format("cannot create a memfd: {}", errno_text(errno))};
  bool written = true;
  for (const Segment& segment : module.segments) {
    written = written && copy_readable(memory, segment.vaddr + module.bias, segment.file_size, image.get(),
                                       segment.file_offset);
  }
  Elf64_Ehdr& header = elf->header;
  const std::uint64_t sections_end = header.e_shoff + std::uint64_t{header.e_shnum} * header.e_shentsize;
  if (header.e_shoff >= size || sections_end > size) {
    header.e_shoff = 0;
    header.e_shnum = header.e_shstrndx = 0;
  }
  written = written && write_all(image.get(), std::as_bytes(std::span(&header, 1)), 0);
  const std::span table(elf->segments);
  if (!table.empty() && header.e_phoff < kLargestImage) {
    written = written && write_all(image.get(), std::as_bytes(table), header.e_phoff);
  }
  if (!written) return Error{ErrorCode::io, 0, fmt::format("cannot write a memfd: {}", errno_text(errno))};
  return image;
}

}  // namespace coppice::inspect
