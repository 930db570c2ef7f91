#include "inspect/worker/symbolize_protocol.hpp"

#include "inspect/base/printable.hpp"

namespace coppice::inspect::worker {
namespace {

constexpr std::uint32_t kMaxFrames = 4096;
constexpr std::uint32_t kMaxWarnings = 64;

bool get_text(BodyReader& body, std::string& text) {
  if (!body.get_string(text)) return false;
  text = printable(text);
  return true;
}

bool get_flag(BodyReader& body, bool& flag) {
  std::uint8_t value = 0;
  if (!body.get(value)) return false;
  flag = value != 0;
  return true;
}

}  // namespace

void write(BodyWriter& body, const DebugLinks& links) {
  body.put_string(links.build_id)
      .put(static_cast<std::uint8_t>(links.has_dwarf))
      .put(static_cast<std::uint8_t>(links.has_symtab))
      .put_string(links.debug_link)
      .put(links.debug_link_crc)
      .put_string(links.alternate_link)
      .put_string(links.alternate_build_id);
}

// Not made printable: links are names of files to look for.
std::optional<DebugLinks> read_debug_links(std::span<const std::byte> body) {
  BodyReader reader(body);
  DebugLinks links;
  if (!reader.get_string(links.build_id) || !get_flag(reader, links.has_dwarf) ||
      !get_flag(reader, links.has_symtab) || !reader.get_string(links.debug_link) ||
      !reader.get(links.debug_link_crc) || !reader.get_string(links.alternate_link) ||
      !reader.get_string(links.alternate_build_id)) {
    return std::nullopt;
  }
  return links;
}

void write(BodyWriter& body, const SymbolizeRequest& request) {
  body.put(request.depth).put(request.image).put(request.debug).put(request.alternate).put(request.bias);
  body.put(static_cast<std::uint32_t>(request.addresses.size()));
  body.put_bytes(std::as_bytes(std::span(request.addresses)));
}

bool read(BodyReader& body, SymbolizeRequest& request) {
  std::uint32_t count = 0;
  if (!body.get(request.depth) || !body.get(request.image) || !body.get(request.debug) ||
      !body.get(request.alternate) || !body.get(request.bias) || !body.get(count) ||
      body.left() / sizeof(std::uint64_t) < count) {
    return false;
  }
  request.addresses.resize(count);
  for (auto& address : request.addresses) body.get(address);
  return body.ok();
}

void write(BodyWriter& body, const SymbolizeAnswer& answer) {
  body.put(static_cast<std::uint32_t>(answer.frames.size()));
  for (const auto& frame : answer.frames) {
    body.put_string(frame.function)
        .put_string(frame.file)
        .put(frame.line)
        .put(static_cast<std::uint8_t>(frame.inlined));
  }
  body.put(static_cast<std::uint32_t>(answer.warnings.size()));
  for (const auto& warning : answer.warnings) body.put_string(warning);
}

std::optional<SymbolizeAnswer> read_symbolize_answer(std::span<const std::byte> body) {
  BodyReader reader(body);
  SymbolizeAnswer answer;
  std::uint32_t count = 0;
  if (!reader.get(count) || count > kMaxFrames) return std::nullopt;
  answer.frames.resize(count);
  for (auto& frame : answer.frames) {
    if (!get_text(reader, frame.function) || !get_text(reader, frame.file) || !reader.get(frame.line) ||
        !get_flag(reader, frame.inlined)) {
      return std::nullopt;
    }
  }
  if (!reader.get(count) || count > kMaxWarnings) return std::nullopt;
  answer.warnings.resize(count);
  for (auto& warning : answer.warnings) {
    if (!get_text(reader, warning)) return std::nullopt;
  }
  return answer;
}

}  // namespace coppice::inspect::worker
