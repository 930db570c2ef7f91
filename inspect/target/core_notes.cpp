#include "inspect/target/core_notes.hpp"

#include <sys/procfs.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "inspect/target/elf_reader.hpp"
#include "inspect/target/registers_x86_64.hpp"

namespace coppice::inspect {

namespace {

constexpr std::size_t kLargestFileNote = 256 << 20;
constexpr std::size_t kLargestAuxiliary = 64 * 1024;

static_assert(sizeof(user_regs_struct) == sizeof(elf_gregset_t), "pr_reg is what PTRACE_GETREGS returns");

template <std::size_t N>
std::string text_of(const char (&field)[N]) {
  return std::string(field, strnlen(field, N));
}

void read_thread(const ElfNote& note, const Memory& file, CoreNotes& notes) {
  if (note.size < sizeof(elf_prstatus)) return;
  auto status = file.read_value<elf_prstatus>(note.content);
  if (!status.ok()) return;
  user_regs_struct registers;
  std::memcpy(&registers, &status->pr_reg, sizeof registers);
  notes.threads.push_back({status->pr_pid, x86_64::from_kernel(registers)});
}

void read_process(const ElfNote& note, const Memory& file, CoreNotes& notes) {
  if (note.size < sizeof(elf_prpsinfo)) return;
  auto info = file.read_value<elf_prpsinfo>(note.content);
  if (!info.ok()) return;
  notes.pid = info->pr_pid;
  notes.name = text_of(info->pr_fname);
  notes.arguments = text_of(info->pr_psargs);
  while (notes.arguments.ends_with(' ')) notes.arguments.pop_back();
}

void read_auxiliary(const ElfNote& note, const Memory& file, CoreNotes& notes) {
  const auto bytes = read_up_to(file, note.content, note.size, kLargestAuxiliary);
  for (std::size_t at = 0; at + sizeof(Elf64_auxv_t) <= bytes.size(); at += sizeof(Elf64_auxv_t)) {
    Elf64_auxv_t entry;
    std::memcpy(&entry, bytes.data() + at, sizeof entry);
    if (entry.a_type == AT_NULL) break;
    notes.auxiliary.emplace(entry.a_type, entry.a_un.a_val);
  }
}

/// count, page size, count times (start, end, offset in pages), then count names, each with its NUL.
void read_files(const ElfNote& note, const Memory& file, CoreNotes& notes) {
  struct Line {
    std::uint64_t start, end, page;
  };
  const auto bytes = read_up_to(file, note.content, note.size, kLargestFileNote);
  std::uint64_t head[2] = {};
  if (bytes.size() < sizeof head) return;
  std::memcpy(head, bytes.data(), sizeof head);
  const std::uint64_t fitting = (bytes.size() - sizeof head) / sizeof(Line);
  if (head[0] > fitting) {
    notes.warnings.push_back(fmt::format(
        "the core's list of mapped files promises {} entries, but can hold {} only", head[0], fitting));
    return;  // where the names begin is not known then
  }
  const char* name = reinterpret_cast<const char*>(bytes.data()) + sizeof head + head[0] * sizeof(Line);
  const char* const end = reinterpret_cast<const char*>(bytes.data()) + bytes.size();
  for (std::uint64_t i = 0; i < head[0]; ++i) {
    Line line;
    std::memcpy(&line, bytes.data() + sizeof head + i * sizeof line, sizeof line);
    const std::size_t length = strnlen(name, static_cast<std::size_t>(end - name));
    if (name + length == end) {
      notes.warnings.push_back("the core's list of mapped files is cut short");
      break;
    }
    std::uint64_t offset = 0;
    if (line.start < line.end && !__builtin_mul_overflow(line.page, head[1], &offset)) {
      notes.files.push_back({line.start, line.end, offset, std::string(name, length)});
    }
    name += length + 1;
  }
}

void sort_out(CoreNotes& notes) {
  std::ranges::stable_sort(notes.threads, {}, &CoreThread::tid);
  const auto again = std::ranges::unique(notes.threads, {}, &CoreThread::tid);
  notes.threads.erase(again.begin(), again.end());
  std::ranges::stable_sort(notes.files, {}, &CoreFileMapping::start);
  std::vector<CoreFileMapping> disjoint;
  for (CoreFileMapping& mapping : notes.files) {
    if (disjoint.empty() || mapping.start >= disjoint.back().end) disjoint.push_back(std::move(mapping));
  }
  notes.files = std::move(disjoint);
}

}  // namespace

CoreNotes read_core_notes(std::span<const Elf64_Phdr> segments, const Memory& file) {
  CoreNotes notes;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_NOTE) continue;
    const std::uint64_t whole =
        visit_notes(file, segment.p_offset, segment.p_filesz, segment.p_align, [&](const ElfNote& note) {
          if (note.name != "CORE") return true;
          if (note.type == NT_PRSTATUS) read_thread(note, file, notes);
          if (note.type == NT_PRPSINFO) read_process(note, file, notes);
          if (note.type == NT_AUXV) read_auxiliary(note, file, notes);
          if (note.type == NT_FILE && notes.files.empty()) read_files(note, file, notes);
          return true;
        });
    if (whole < segment.p_filesz) {
      notes.warnings.push_back(fmt::format("the core's notes end at offset 0x{:x}, 0x{:x} bytes too early",
                                           segment.p_offset + whole, segment.p_filesz - whole));
    }
  }
  sort_out(notes);
  return notes;
}

}  // namespace coppice::inspect
