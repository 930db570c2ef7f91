// What the notes of a core say: threads, the process, the auxiliary vector and the mapped files.
// Layouts: <sys/procfs.h>, and fill_files_note() in the kernel's fs/binfmt_elf.c for NT_FILE.
#pragma once

#include <elf.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "inspect/memory/memory.hpp"
#include "inspect/target/registers.hpp"

namespace coppice::inspect {

struct CoreThread {
  pid_t tid = 0;
  Registers registers;
};

/// A line of NT_FILE.
struct CoreFileMapping {
  Address start = 0;
  Address end = 0;
  std::uint64_t file_offset = 0;
  std::string path;
};

struct CoreNotes {
  std::vector<CoreThread> threads;                   ///< sorted by tid, each once
  std::vector<CoreFileMapping> files;                ///< sorted by start, disjoint
  std::map<std::uint64_t, std::uint64_t> auxiliary;  ///< AT_* to value
  pid_t pid = 0;                                     ///< 0: unknown
  std::string name;                                  ///< comm of the first thread
  std::string arguments;                             ///< at most 79 bytes of the command line
  std::vector<std::string> warnings;

  /// An entry of the auxiliary vector, 0 when there is none.
  std::uint64_t auxiliary_value(std::uint64_t type) const {
    const auto found = auxiliary.find(type);
    return found == auxiliary.end() ? 0 : found->second;
  }
};

/// Reads the notes of a core as far as they go; what is cut or makes no sense is left out, with a warning.
CoreNotes read_core_notes(std::span<const Elf64_Phdr> segments, const Memory& file);

}  // namespace coppice::inspect
