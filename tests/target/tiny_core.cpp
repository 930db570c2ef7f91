#include "tests/target/tiny_core.hpp"

#include <link.h>
#include <sys/procfs.h>

#include <algorithm>
#include <cstring>

namespace coppice::inspect::test {

namespace {

constexpr std::size_t kPage = 4096;
constexpr Address kModule = 0x555500000000;
constexpr Address kStack = 0x7ffff0000000;
constexpr Address kData = 0x555500010000;

void pad(Bytes& bytes, std::size_t align) {
  bytes.resize((bytes.size() + align - 1) / align * align);
}

void append_text(Bytes& bytes, const std::string& text) {
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  bytes.push_back(std::byte{0});
}

void append_note(Bytes& notes, std::uint32_t type, const Bytes& content, const std::string& name) {
  append(notes,
         Elf64_Nhdr{static_cast<Elf64_Word>(name.size() + 1), static_cast<Elf64_Word>(content.size()), type});
  append_text(notes, name);
  pad(notes, 4);
  notes.insert(notes.end(), content.begin(), content.end());
  pad(notes, 4);
}

Elf64_Ehdr elf_header(Elf64_Half type, Elf64_Half machine) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = type;
  header.e_machine = machine;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phoff = sizeof(Elf64_Ehdr);
  return header;
}

Elf64_Phdr segment(std::uint32_t type, std::uint32_t flags, std::uint64_t offset, std::uint64_t address,
                   std::uint64_t size) {
  Elf64_Phdr header{};
  header.p_type = type;
  header.p_flags = flags;
  header.p_offset = offset;
  header.p_vaddr = address;
  header.p_filesz = header.p_memsz = size;
  header.p_align = 4;
  return header;
}

Bytes stack_page() {
  Bytes stack(kPage, std::byte{0x5a});
  return stack;
}

}  // namespace

void TinyCore::add_note(std::uint32_t note_type, const Bytes& content, const std::string& name) {
  append_note(notes, note_type, content, name);
}

void TinyCore::add_thread(pid_t tid, Address pc, Address sp) {
  elf_prstatus status{};
  status.pr_pid = tid;
  user_regs_struct registers{};
  registers.rip = pc;
  registers.rsp = sp;
  std::memcpy(&status.pr_reg, &registers, sizeof registers);
  Bytes content;
  append(content, status);
  add_note(NT_PRSTATUS, content);
}

void TinyCore::add_process(pid_t pid, const std::string& name, const std::string& arguments) {
  elf_prpsinfo info{};
  info.pr_pid = pid;
  std::memcpy(info.pr_fname, name.data(), std::min(name.size(), sizeof info.pr_fname));
  std::memcpy(info.pr_psargs, arguments.data(), std::min(arguments.size(), sizeof info.pr_psargs));
  Bytes content;
  append(content, info);
  add_note(NT_PRPSINFO, content);
}

void TinyCore::add_load(Address start, Bytes bytes, std::uint64_t memory_size, std::uint32_t flags) {
  Load load;
  load.header = segment(PT_LOAD, flags, 0, start, bytes.size());
  load.header.p_memsz = memory_size == 0 ? bytes.size() : memory_size;
  load.bytes = std::move(bytes);
  loads.push_back(std::move(load));
}

Bytes TinyCore::build() const {
  Bytes all_notes = notes;
  Bytes content;
  for (const auto& [key, value] : auxiliary) {
    append(content, key);
    append(content, value);
  }
  if (!content.empty()) append_note(all_notes, NT_AUXV, content, "CORE");
  content.clear();
  append(content, std::uint64_t{files.size()});
  append(content, std::uint64_t{kPage});
  for (const File& file : files) {
    append(content, file.start);
    append(content, file.end);
    append(content, file.page);
  }
  for (const File& file : files) append_text(content, file.path);
  if (!files.empty()) append_note(all_notes, NT_FILE, content, "CORE");

  Elf64_Ehdr header = elf_header(type, machine);
  const std::size_t count = loads.size() + 1;
  header.e_phnum = extended_numbering ? PN_XNUM : static_cast<Elf64_Half>(count);
  std::uint64_t offset = sizeof header + count * sizeof(Elf64_Phdr);
  if (extended_numbering) {
    header.e_shoff = offset;
    header.e_shnum = 1;
    header.e_shentsize = sizeof(Elf64_Shdr);
    offset += sizeof(Elf64_Shdr);
  }
  Bytes core;
  append(core, header);
  append(core, segment(PT_NOTE, 0, offset, 0, all_notes.size()));
  offset += all_notes.size();
  for (const Load& load : loads) {
    Elf64_Phdr placed = load.header;
    if (placed.p_offset == 0) placed.p_offset = offset;
    append(core, placed);
    offset += load.bytes.size();
  }
  if (extended_numbering) {
    Elf64_Shdr first{};
    first.sh_info = static_cast<Elf64_Word>(count);
    append(core, first);
  }
  core.insert(core.end(), all_notes.begin(), all_notes.end());
  for (const Load& load : loads) core.insert(core.end(), load.bytes.begin(), load.bytes.end());
  return core;
}

Bytes tiny_module_head(const Bytes& build_id) {
  Bytes notes;
  if (!build_id.empty()) append_note(notes, NT_GNU_BUILD_ID, build_id, "GNU");
  Elf64_Ehdr header = elf_header(ET_DYN, EM_X86_64);
  header.e_phnum = 3;
  const std::uint64_t notes_at = sizeof header + 3 * sizeof(Elf64_Phdr);
  Bytes page;
  append(page, header);
  append(page, segment(PT_LOAD, PF_R, 0, 0, kPage));
  append(page, segment(PT_LOAD, PF_R | PF_X, kPage, kPage, kPage));
  append(page, segment(PT_NOTE, PF_R, notes_at, notes_at, notes.size()));
  page.insert(page.end(), notes.begin(), notes.end());
  page.resize(kPage);
  return page;
}

TinyCore ordinary_tiny_core(bool with_files) {
  TinyCore core;
  core.add_thread(100, kModule + kPage + 16, kStack + 256);
  core.add_process(100, "tiny", "tiny --with arguments ");
  core.add_thread(101, kModule + kPage + 32, kStack + 512);
  core.auxiliary = {{AT_PHDR, kModule + sizeof(Elf64_Ehdr)}, {AT_PHNUM, 3}, {AT_ENTRY, kModule + kPage}};
  if (with_files) {
    core.files = {{kModule, kModule + kPage, 0, "/nowhere/tiny"},
                  {kModule + kPage, kModule + 2 * kPage, 1, "/nowhere/tiny"}};
  }
  core.add_load(kModule, tiny_module_head(Bytes(20, std::byte{0xab})), kPage, PF_R);
  core.add_load(kModule + kPage, {}, kPage, PF_R | PF_X);
  core.add_load(kStack, stack_page());
  return core;
}

TinyCore tiny_core_with_link_map() {
  TinyCore core = ordinary_tiny_core(false);
  // The head's third header becomes PT_DYNAMIC, and a PT_PHDR tells the bias.
  Bytes& head = core.loads[0].bytes;
  Elf64_Ehdr header;
  std::memcpy(&header, head.data(), sizeof header);
  header.e_phnum = 5;
  std::memcpy(head.data(), &header, sizeof header);
  const std::size_t table = sizeof header;
  const auto more = {segment(PT_DYNAMIC, PF_R | PF_W, 0, kData - kModule, 2 * sizeof(Elf64_Dyn)),
                     segment(PT_PHDR, PF_R, table, table, 5 * sizeof(Elf64_Phdr))};
  // The note moves behind the longer table.
  Elf64_Phdr note;
  std::memcpy(&note, head.data() + table + 2 * sizeof note, sizeof note);
  Bytes notes(head.begin() + static_cast<std::ptrdiff_t>(note.p_offset),
              head.begin() + static_cast<std::ptrdiff_t>(note.p_offset + note.p_filesz));
  note.p_offset = note.p_vaddr = table + 5 * sizeof note;
  std::memcpy(head.data() + table + 2 * sizeof note, &note, sizeof note);
  std::size_t at = table + 3 * sizeof note;
  for (const Elf64_Phdr& extra : more) {
    std::memcpy(head.data() + at, &extra, sizeof extra);
    at += sizeof extra;
  }
  std::copy(notes.begin(), notes.end(), head.begin() + static_cast<std::ptrdiff_t>(at));

  Bytes data;
  append(data, Elf64_Dyn{DT_DEBUG, {kData + 64}});
  append(data, Elf64_Dyn{DT_NULL, {0}});
  data.resize(64);
  r_debug debug{};
  debug.r_version = 1;
  debug.r_map = reinterpret_cast<link_map*>(kData + 128);
  append(data, debug);
  data.resize(128);
  link_map first{};
  first.l_addr = kModule;
  first.l_name = reinterpret_cast<char*>(kData + 300);
  first.l_next = reinterpret_cast<link_map*>(kData + 200);
  append(data, first);
  data.resize(200);
  link_map second = first;
  second.l_addr = kModule + 0x100000;
  second.l_next = reinterpret_cast<link_map*>(kData + 128);  // runs in a circle
  append(data, second);
  data.resize(300);
  append_text(data, "/nowhere/by-link-map");
  data.resize(kPage);
  core.add_load(kData, data);
  core.auxiliary[1].second = 5;
  return core;
}

}  // namespace coppice::inspect::test
