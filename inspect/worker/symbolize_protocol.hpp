// The requests `debug_links` and `symbolize`: what the Symbolizer asks coppice-worker, and what it hears.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inspect/symbols/source_frame.hpp"
#include "inspect/worker/protocol.hpp"

namespace coppice::inspect {

/// Where an image says that its debug information is. Empty strings mean that it says nothing.
struct DebugLinks {
  std::string build_id;  ///< lower-case hex
  bool has_dwarf = false;
  bool has_symtab = false;
  std::string debug_link;  ///< file name of the separate debug file
  std::uint32_t debug_link_crc = 0;
  std::string alternate_link;  ///< path of the dwz file, absolute or relative to the file that names it
  std::string alternate_build_id;
};

namespace worker {

inline constexpr FileId no_file = 0;

/// `debug_links`: one item, the file; its answer is a DebugLinks, all empty for what is no ELF file.
void write(BodyWriter& body, const DebugLinks& links);
std::optional<DebugLinks> read_debug_links(std::span<const std::byte> body);

/// `symbolize`: one item for each address.
struct SymbolizeRequest {
  DebugDepth depth = DebugDepth::full;
  FileId image = no_file;
  FileId debug = no_file;                ///< separate debug file
  FileId alternate = no_file;            ///< dwz file
  std::uint64_t bias = 0;                ///< as in Module
  std::vector<std::uint64_t> addresses;  ///< ELF virtual addresses
};
void write(BodyWriter& body, const SymbolizeRequest& request);
bool read(BodyReader& body, SymbolizeRequest& request);

/// The answer for one address.
struct SymbolizeAnswer {
  std::vector<SourceFrame> frames;    ///< innermost first; empty when nothing is known
  std::vector<std::string> warnings;  ///< what of the module's files could not be used, each told once
};
void write(BodyWriter& body, const SymbolizeAnswer& answer);
/// Nothing when the bytes are not an answer, or are an absurd one. Text is made printable: names come from
/// files that anyone may have written, and end on terminals and in JSON.
std::optional<SymbolizeAnswer> read_symbolize_answer(std::span<const std::byte> body);

}  // namespace worker
}  // namespace coppice::inspect
