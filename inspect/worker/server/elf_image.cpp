#include "inspect/worker/server/elf_image.hpp"

#include <elf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace coppice::inspect::worker {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t max_span = std::uint64_t{4} << 30;  // larger programs are not linked, only claimed
constexpr std::size_t max_headers = 256;

std::uint64_t round_down(std::uint64_t value) {
  return value & ~(page - 1);
}
std::uint64_t round_up(std::uint64_t value) {
  return round_down(value + page - 1);
}

template <class T>
bool read_at(int descriptor, std::uint64_t offset, std::span<T> into) {
  const ssize_t got = ::pread(descriptor, into.data(), into.size_bytes(), static_cast<off_t>(offset));
  return got >= 0 && static_cast<std::size_t>(got) == into.size_bytes();
}

bool is_ours(const Elf64_Ehdr& header) {
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
         header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == EM_X86_64 &&
         header.e_phentsize == sizeof(Elf64_Phdr) && header.e_phnum > 0 && header.e_phnum <= max_headers;
}

std::vector<Elf64_Phdr> read_program_headers(int descriptor, const Elf64_Ehdr& header) {
  std::vector<Elf64_Phdr> headers(header.e_phnum);
  if (!read_at(descriptor, header.e_phoff, std::span(headers))) headers.clear();
  return headers;
}

// What the kernel would refuse to load, or what would overflow below.
bool is_sane(const Elf64_Phdr& load) {
  return load.p_memsz <= max_span && load.p_filesz <= load.p_memsz && load.p_vaddr < (1ULL << 47) &&
         load.p_offset < (1ULL << 47) && load.p_vaddr % page == load.p_offset % page;
}

}  // namespace

std::unique_ptr<ElfImage> ElfImage::map(int descriptor) {
  struct stat status{};
  if (descriptor < 0 || ::fstat(descriptor, &status) != 0 || status.st_size < 0) return nullptr;
  std::unique_ptr<ElfImage> image(new ElfImage);
  if (!image->map_segments(descriptor, static_cast<std::uint64_t>(status.st_size))) return nullptr;
  image->find_eh_frame_section(descriptor, static_cast<std::uint64_t>(status.st_size));
  return image;
}

bool ElfImage::map_segments(int descriptor, std::uint64_t file_size) {
  Elf64_Ehdr header{};
  if (!read_at(descriptor, 0, std::span(&header, 1)) || !is_ours(header)) return false;
  const std::vector<Elf64_Phdr> headers = read_program_headers(descriptor, header);
  std::uint64_t low = ~std::uint64_t{0};
  std::uint64_t high = 0;
  for (const Elf64_Phdr& load : headers) {
    if (load.p_type != PT_LOAD || load.p_memsz == 0) continue;
    if (!is_sane(load)) return false;
    low = std::min(low, round_down(load.p_vaddr));
    high = std::max(high, round_up(load.p_vaddr + load.p_memsz));
  }
  if (low >= high || high - low > max_span) return false;

  constexpr int reserve_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* wanted = header.e_type == ET_EXEC ? reinterpret_cast<void*>(low) : nullptr;
  void* reserved = MAP_FAILED;
  if (wanted != nullptr) {
    reserved = ::mmap(wanted, high - low, PROT_NONE, reserve_flags | MAP_FIXED_NOREPLACE, -1, 0);
  }
  if (reserved == MAP_FAILED) reserved = ::mmap(nullptr, high - low, PROT_NONE, reserve_flags, -1, 0);
  if (reserved == MAP_FAILED) return false;
  start_ = reinterpret_cast<std::uint64_t>(reserved);
  span_ = high - low;
  bias_ = start_ - low;

  for (const Elf64_Phdr& part : headers) {
    if (part.p_type == PT_GNU_EH_FRAME && part.p_vaddr - low < span_) eh_frame_hdr_ = part.p_vaddr + bias_;
    if (part.p_type != PT_LOAD || part.p_filesz == 0 || part.p_offset >= file_size) continue;
    // A page beyond the end of the file would be SIGBUS: map only what is there.
    const std::uint64_t size = std::min<std::uint64_t>(part.p_filesz, file_size - part.p_offset);
    const std::uint64_t lead = part.p_vaddr % page;
    void* at = reinterpret_cast<void*>(part.p_vaddr - lead + bias_);
    if (::mmap(at, size + lead, PROT_READ, MAP_PRIVATE | MAP_FIXED, descriptor,
               static_cast<off_t>(part.p_offset - lead)) == MAP_FAILED) {
      continue;
    }
    pieces_.push_back({part.p_vaddr + bias_, size});
  }
  return !pieces_.empty();
}

void ElfImage::find_eh_frame_section(int descriptor, std::uint64_t file_size) {
  Elf64_Ehdr header{};
  if (!read_at(descriptor, 0, std::span(&header, 1)) || header.e_shentsize != sizeof(Elf64_Shdr) ||
      header.e_shnum == 0 || header.e_shstrndx >= header.e_shnum) {
    return;
  }
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!read_at(descriptor, header.e_shoff, std::span(sections))) return;
  const Elf64_Shdr& names = sections[header.e_shstrndx];
  constexpr std::string_view wanted(".eh_frame\0", 10);
  for (const Elf64_Shdr& section : sections) {
    std::array<char, wanted.size()> name{};
    if ((section.sh_flags & SHF_ALLOC) == 0 || names.sh_offset >= file_size ||
        !read_at(descriptor, names.sh_offset + section.sh_name, std::span<char>(name))) {
      continue;
    }
    if (std::string_view(name.data(), name.size()) == wanted) eh_frame_ = section.sh_addr + bias_;
  }
}

ElfImage::~ElfImage() {
  if (span_ != 0) ::munmap(reinterpret_cast<void*>(start_), span_);
}

std::span<std::byte> ElfImage::bytes_from(std::uint64_t address) const noexcept {
  for (const Piece& piece : pieces_) {
    if (address - piece.start < piece.size) {
      return {reinterpret_cast<std::byte*>(address), piece.size - (address - piece.start)};
    }
  }
  return {};
}

bool ElfImage::make_writable(std::span<std::byte> bytes) const noexcept {
  const auto address = reinterpret_cast<std::uint64_t>(bytes.data());
  const std::uint64_t from = round_down(address);
  const std::uint64_t to = round_up(address + bytes.size());
  if (from < start() || to > end()) return false;
  return ::mprotect(reinterpret_cast<void*>(from), to - from, PROT_READ | PROT_WRITE) == 0;
}

}  // namespace coppice::inspect::worker
