// DebugInfo: everything one image's files say about an address. The part of coppice-worker that reads
// symbols.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "inspect/symbols/source_frame.hpp"
#include "inspect/worker/debug_info/dwarf_reader.hpp"
#include "inspect/worker/debug_info/elf_file.hpp"
#include "inspect/worker/debug_info/symbol_table.hpp"

namespace coppice::inspect {

/// Descriptors of an image and its companions; -1 for none. Borrowed: they must stay open as long as the
/// DebugInfo.
struct DebugFiles {
  int image = -1;
  int debug = -1;      ///< separate debug file
  int alternate = -1;  ///< what .gnu_debugaltlink of the file with the DWARF names (dwz)
  /// Where the image was loaded, less where it was linked to be; matters for an image made from memory only.
  std::uint64_t bias = 0;
};

/// Names the addresses of one image: by DWARF, else .symtab, else .dynsym (found without section headers
/// too), from the image or its separate debug file. Never touches the file system: it has descriptors only.
/// (libdw tries to open .dwo files and dwz files it was not given; the sandbox refuses, and libdw goes on
/// without.) Never asks debuginfod, which is libdwfl's doing.
///
/// libdw and libelf do not promise to survive malformed files: this class is for the sandbox, and for tests.
/// Thread-safety: one thread at a time.
class DebugInfo {
 public:
  /// `corrupt` when the image is no ELF file. A companion that does not belong to the image (build-id or,
  /// where there is none, the CRC of .gnu_debuglink differs) is left out with a warning.
  static Result<std::unique_ptr<DebugInfo>> open(const DebugFiles& files, DebugDepth depth);

  /// The frames at an ELF virtual address, innermost first; empty when nothing is known.
  std::vector<SourceFrame> at(std::uint64_t address);

  /// What could not be used, and why, since the last call.
  std::vector<std::string> take_warnings();

 private:
  DebugInfo(ElfFile image) : image_(std::move(image)), code_(image_) {}
  void accept_debug_file(int fd);
  void choose_symbols(std::uint64_t bias);
  void open_dwarf(int alternate);
  /// The file whose DWARF is read: the image when it has any, else the separate debug file. May be null.
  const ElfFile* dwarf_file() const;

  ElfFile image_;
  std::unique_ptr<ElfFile> debug_;
  std::unique_ptr<ElfFile> alternate_;
  CodeRanges code_;
  std::unique_ptr<SymbolTable> symbols_;
  std::unique_ptr<DwarfReader> dwarf_;
  bool warned_of_split_ = false;
  std::vector<std::string> warnings_;
};

}  // namespace coppice::inspect
