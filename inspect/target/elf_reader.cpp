#include "inspect/target/elf_reader.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

namespace coppice::inspect {

namespace {

constexpr int kMostNotes = 64;  // of a module; its build-id is among the first
constexpr std::size_t kLargestNameTable = 16 << 20;
constexpr std::size_t kMostSections = 65535;
constexpr std::size_t kLongestBuildId = 64;

Error corrupt(Address at, std::string message) {
  return {ErrorCode::corrupt, at, std::move(message)};
}

std::string hexadecimal(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

std::string build_id_in(const Memory& memory, Address at, std::uint64_t size, std::uint64_t align) {
  std::string id;
  int visited = 0;
  visit_notes(memory, at, size, align, [&](const ElfNote& note) {
    if (++visited > kMostNotes) return false;
    if (note.type != NT_GNU_BUILD_ID || note.name != "GNU") return true;
    if (note.size == 0 || note.size > kLongestBuildId) return true;
    const auto bytes = read_up_to(memory, note.content, note.size, kLongestBuildId);
    if (bytes.size() == note.size) id = hexadecimal(bytes);
    return false;
  });
  return id;
}

}  // namespace

Result<ElfHeaders> read_elf_headers(const Memory& memory, Address at, std::uint32_t most_segments) {
  ElfHeaders elf;
  auto header = memory.read_value<Elf64_Ehdr>(at);
  if (!header.ok()) return std::move(header).error();
  elf.header = *header;
  if (std::memcmp(elf.header.e_ident, ELFMAG, SELFMAG) != 0) return corrupt(at, "not an ELF file");
  if (elf.header.e_ident[EI_CLASS] != ELFCLASS64 || elf.header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return Error{ErrorCode::unsupported, at, "not a 64-bit little-endian ELF file"};
  }

  std::uint32_t count = elf.header.e_phnum;
  if (count == PN_XNUM && elf.header.e_shoff != 0) {
    // Too many for the header: section 0 has the number (System V ABI, "ELF header").
    auto first = memory.read_value<Elf64_Shdr>(at + elf.header.e_shoff);
    if (!first.ok()) return std::move(first).error();
    count = first->sh_info;
  }
  if (count == 0) return elf;
  if (elf.header.e_phentsize != sizeof(Elf64_Phdr)) {
    return corrupt(at, fmt::format("program headers of {} bytes", elf.header.e_phentsize));
  }
  if (count > most_segments) return corrupt(at, fmt::format("{} program headers", count));

  // By pieces, so that a header that lies about the number costs no more memory than the file has bytes.
  const Address table = at + elf.header.e_phoff;
  while (elf.segments.size() < count) {
    const std::size_t have = elf.segments.size();
    elf.segments.resize(std::min<std::size_t>(count, have + 4096));
    const std::span<Elf64_Phdr> piece = std::span(elf.segments).subspan(have);
    auto done = memory.read(table + have * sizeof(Elf64_Phdr), std::as_writable_bytes(piece));
    if (!done.ok()) return std::move(done).error();
  }
  return elf;
}

std::uint64_t visit_notes(const Memory& memory, Address at, std::uint64_t size, std::uint64_t align,
                          const std::function<bool(const ElfNote&)>& visit) {
  struct Head {
    Elf64_Nhdr header;
    std::array<char, 16> name;
  };
  const std::uint64_t step = align == 8 ? 8 : 4;
  const auto padded = [step](std::uint64_t length) { return (length + step - 1) & ~(step - 1); };
  std::uint64_t done = 0;
  while (size - done >= sizeof(Elf64_Nhdr)) {
    Head head{};
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(sizeof head, size - done));
    const std::size_t got =
        memory.read_some(at + done, std::as_writable_bytes(std::span(&head, 1)).first(wanted));
    if (got < sizeof(Elf64_Nhdr)) break;
    // 32-bit lengths in 64-bit sums: nothing here can overflow.
    const std::uint64_t content = padded(sizeof(Elf64_Nhdr) + std::uint64_t{head.header.n_namesz});
    if (content + head.header.n_descsz > size - done) break;
    const std::size_t name_limit = std::min<std::size_t>(got - sizeof(Elf64_Nhdr), head.header.n_namesz);
    const ElfNote note{head.header.n_type,
                       std::string(head.name.data(), strnlen(head.name.data(), name_limit)),
                       at + done + content, head.header.n_descsz};
    done += std::min(padded(content + head.header.n_descsz), size - done);
    if (!visit(note)) break;
  }
  return done;
}

std::vector<std::byte> read_up_to(const Memory& memory, Address at, std::uint64_t size, std::size_t limit) {
  std::vector<std::byte> bytes;
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, limit));
  // Doubling: a size that lies costs at most twice the bytes there are.
  while (bytes.size() < wanted) {
    const std::size_t have = bytes.size();
    const std::size_t piece = std::min(wanted - have, std::max<std::size_t>(have, 64 * 1024));
    bytes.resize(have + piece);
    const std::size_t got = memory.read_some(at + have, std::span(bytes).subspan(have));
    if (got < piece) {
      bytes.resize(have + got);
      break;
    }
  }
  return bytes;
}

std::string read_build_id(const ElfHeaders& elf, const ElfPlace& place) {
  for (const Elf64_Phdr& segment : elf.segments) {
    if (segment.p_type != PT_NOTE) continue;
    auto id = build_id_in(place.memory, place.of(segment), segment.p_filesz, segment.p_align);
    if (!id.empty()) return id;
  }
  return {};
}

Result<std::vector<ElfSection>> read_sections(const ElfHeaders& elf, const Memory& file) {
  std::vector<ElfSection> sections;
  const Elf64_Ehdr& header = elf.header;
  if (header.e_shoff == 0) return sections;
  if (header.e_shentsize != sizeof(Elf64_Shdr)) {
    return corrupt(0, fmt::format("section headers of {} bytes", header.e_shentsize));
  }
  auto first = file.read_value<Elf64_Shdr>(header.e_shoff);
  if (!first.ok()) return std::move(first).error();
  const std::uint64_t count = header.e_shnum != 0 ? header.e_shnum : first->sh_size;
  const std::uint32_t names_index = header.e_shstrndx == SHN_XINDEX ? first->sh_link : header.e_shstrndx;
  if (count > kMostSections) return corrupt(0, fmt::format("{} sections", count));

  const auto bytes = read_up_to(file, header.e_shoff, count * sizeof(Elf64_Shdr), SIZE_MAX);
  sections.resize(bytes.size() / sizeof(Elf64_Shdr));
  for (std::size_t i = 0; i < sections.size(); ++i) {
    std::memcpy(&sections[i].header, bytes.data() + i * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr));
  }
  if (names_index >= sections.size()) return sections;
  const Elf64_Shdr& table = sections[names_index].header;
  const auto names = read_up_to(file, table.sh_offset, table.sh_size, kLargestNameTable);
  for (ElfSection& section : sections) {
    if (section.header.sh_name >= names.size()) continue;
    const auto* name = reinterpret_cast<const char*>(names.data()) + section.header.sh_name;
    // A hostile table can make every name the whole table: names of sections are short.
    section.name.assign(name,
                        strnlen(name, std::min<std::size_t>(names.size() - section.header.sh_name, 64)));
  }
  return sections;
}

std::string read_file_build_id(const Memory& file) {
  auto elf = read_elf_headers(file, 0);
  if (!elf.ok()) return {};
  if (auto id = read_build_id(*elf, {file}); !id.empty()) return id;
  auto sections = read_sections(*elf, file);
  if (!sections.ok()) return {};
  for (const ElfSection& section : *sections) {
    if (section.header.sh_type != SHT_NOTE) continue;
    const Elf64_Shdr& header = section.header;
    auto id = build_id_in(file, header.sh_offset, header.sh_size, header.sh_addralign);
    if (!id.empty()) return id;
  }
  return {};
}

}  // namespace coppice::inspect
