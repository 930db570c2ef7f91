#include "inspect/worker/debug_info/elf_file.hpp"

#include <elfutils/libdwelf.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>

namespace coppice::inspect {
namespace {

std::string hex(std::span<const unsigned char> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (auto byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string build_id_of(Elf* elf) {
  const void* bytes = nullptr;
  const auto size = dwelf_elf_gnu_build_id(elf, &bytes);
  if (size <= 0 || size > 64) return {};
  return hex({static_cast<const unsigned char*>(bytes), static_cast<std::size_t>(size)});
}

std::span<const unsigned char> bytes_of(Elf_Scn* section) {
  Elf_Data* data = section ? elf_rawdata(section, nullptr) : nullptr;
  if (!data || !data->d_buf) return {};
  return {static_cast<const unsigned char*>(data->d_buf), data->d_size};
}

/// The NUL-terminated name at the start of a link section; empty when it has no end.
std::string leading_name(std::span<const unsigned char> bytes) {
  const auto* end =
      bytes.empty() ? nullptr : static_cast<const unsigned char*>(std::memchr(bytes.data(), 0, bytes.size()));
  if (!end || end - bytes.data() > 4096) return {};
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(end - bytes.data())};
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320U ^ (value >> 1) : value >> 1;
    table[i] = value;
  }
  return table;
}

}  // namespace

Result<ElfFile> ElfFile::open(int fd) {
  elf_version(EV_CURRENT);
  ElfFile file;
  file.elf_.reset(elf_begin(fd, ELF_C_READ_MMAP, nullptr));
  if (!file.elf_) return Error{ErrorCode::io, 0, std::string("libelf: ") + elf_errmsg(-1)};
  if (elf_kind(file.elf_.get()) != ELF_K_ELF) return Error{ErrorCode::corrupt, 0, "not an ELF file"};
  file.fd_ = fd;
  return file;
}

Elf_Scn* ElfFile::section(const char* name) const {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf(), &names) != 0) return nullptr;
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf(), scn)) != nullptr;) {
    GElf_Shdr header;
    if (!gelf_getshdr(scn, &header) || header.sh_type == SHT_NOBITS) continue;
    const char* text = elf_strptr(elf(), names, header.sh_name);
    if (text && std::strcmp(text, name) == 0) return scn;
  }
  return nullptr;
}

Elf_Scn* ElfFile::section_of_type(std::uint32_t type) const {
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf(), scn)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(scn, &header) && header.sh_type == type) return scn;
  }
  return nullptr;
}

DebugLinks ElfFile::links() const {
  DebugLinks links;
  links.build_id = build_id_of(elf());
  links.has_dwarf = section(".debug_info") || section(".zdebug_info");
  links.has_symtab = section_of_type(SHT_SYMTAB) != nullptr;
  const auto link = bytes_of(section(".gnu_debuglink"));
  links.debug_link = leading_name(link);
  if (!links.debug_link.empty()) {
    const std::size_t at = (links.debug_link.size() + 1 + 3) & ~std::size_t{3};
    if (at + 4 <= link.size()) std::memcpy(&links.debug_link_crc, link.data() + at, 4);
  }
  const auto alternate = bytes_of(section(".gnu_debugaltlink"));
  links.alternate_link = leading_name(alternate);
  if (!links.alternate_link.empty()) {
    const auto id = alternate.subspan(links.alternate_link.size() + 1);
    if (id.size() <= 64) links.alternate_build_id = hex(id);
  }
  return links;
}

std::optional<std::uint32_t> ElfFile::crc() const {
  static constexpr auto kTable = make_crc_table();
  std::vector<unsigned char> buffer(1 << 20);
  std::uint32_t crc = ~0U;
  off_t at = 0;
  while (true) {
    const auto got = pread(fd_, buffer.data(), buffer.size(), at);
    if (got < 0) return std::nullopt;
    if (got == 0) return ~crc;
    at += got;
    for (ssize_t i = 0; i < got; ++i) crc = kTable[(crc ^ buffer[i]) & 0xff] ^ (crc >> 8);
  }
}

std::optional<std::string> ElfFile::undecodable_section() const {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf(), &names) != 0) return std::nullopt;
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf(), scn)) != nullptr;) {
    GElf_Shdr header;
    GElf_Chdr compression;
    if (!gelf_getshdr(scn, &header) || !(header.sh_flags & SHF_COMPRESSED)) continue;
    const char* text = elf_strptr(elf(), names, header.sh_name);
    if (!text || !std::string_view(text).starts_with(".debug_")) continue;
    // zlib has always been understood, so only another format needs the (costly) proof.
    if (gelf_getchdr(scn, &compression) && compression.ch_type == ELFCOMPRESS_ZLIB) continue;
    if (elf_compress(scn, 0, 0) < 0) return text;
  }
  return std::nullopt;
}

CodeRanges::CodeRanges(const ElfFile& image) {
  std::size_t count = 0;
  if (elf_getphdrnum(image.elf(), &count) != 0) return;
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (!gelf_getphdr(image.elf(), static_cast<int>(i), &header)) break;
    if (header.p_type != PT_LOAD || !(header.p_flags & PF_X)) continue;
    if (header.p_vaddr + header.p_memsz < header.p_vaddr) continue;
    ranges_.push_back({header.p_vaddr, header.p_vaddr + header.p_memsz});
  }
}

const CodeRanges::Range* CodeRanges::at(std::uint64_t address) const noexcept {
  for (const auto& range : ranges_) {
    if (address >= range.start && address < range.end) return &range;
  }
  return nullptr;
}

}  // namespace coppice::inspect
