// Cores made by hand: small enough to be cut at every byte, and as wrong as wanted.
#pragma once

#include <elf.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "inspect/base/result.hpp"

namespace coppice::inspect::test {

using Bytes = std::vector<std::byte>;

/// Appends a value's bytes.
template <class T>
void append(Bytes& bytes, const T& value) {
  const auto* start = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), start, start + sizeof value);
}

/// A core in the making. Everything given is written as it is, sense or no sense.
struct TinyCore {
  struct Load {
    Elf64_Phdr header{};
    Bytes bytes;
  };
  Bytes notes;
  std::vector<Load> loads;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> auxiliary;
  struct File {
    Address start, end;
    std::uint64_t page;
    std::string path;
  };
  std::vector<File> files;
  bool extended_numbering = false;  ///< PN_XNUM, with the number of headers in section 0
  Elf64_Half type = ET_CORE;
  Elf64_Half machine = EM_X86_64;

  void add_note(std::uint32_t note_type, const Bytes& content, const std::string& name = "CORE");
  void add_thread(pid_t tid, Address pc, Address sp);
  void add_process(pid_t pid, const std::string& name, const std::string& arguments);
  /// `memory_size` 0: as many as there are bytes.
  void add_load(Address start, Bytes bytes, std::uint64_t memory_size = 0, std::uint32_t flags = PF_R | PF_W);

  Bytes build() const;
};

/// The first page of an ELF file of two pages, the second of which is code; with a build-id unless empty.
Bytes tiny_module_head(const Bytes& build_id);

/// A core with two threads and one module, of which only the first page is there.
TinyCore ordinary_tiny_core(bool with_files);

/// The same with names to be found by r_debug only: no NT_FILE, a dynamic section and a list of two
/// libraries.
TinyCore tiny_core_with_link_map();

}  // namespace coppice::inspect::test
