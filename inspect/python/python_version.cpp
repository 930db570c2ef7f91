#include "inspect/python/python_version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <string_view>
#include <vector>

namespace coppice::inspect {
namespace {

constexpr std::size_t longest_text = 250;  // Py_GetVersion()'s buffer
constexpr std::size_t piece_size = 256U << 10U;
constexpr std::uint64_t most_data = 64U << 20U;  // .data and .bss of a libpython take about 2 MB
constexpr std::string_view cookie = "xdebugpy";

/// Takes what it recognises off the beginning of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool take(std::string_view word) {
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }

  std::optional<unsigned> number() {
    unsigned value = 0;
    std::size_t digits = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      if (digits == 3) return std::nullopt;
      value = value * 10 + static_cast<unsigned>(text_[digits] - '0');
    }
    text_.remove_prefix(digits);
    if (digits == 0 || value > 0xff) return std::nullopt;
    return value;
  }

  /// Skips up to and with `word`, which must come within `limit` characters.
  bool skip_past(std::string_view word, std::size_t limit) {
    const std::size_t at = text_.substr(0, limit + word.size()).find(word);
    if (at == std::string_view::npos) return false;
    text_.remove_prefix(at + word.size());
    return true;
  }

 private:
  std::string_view text_;
};

/// Release level and serial number: "", "a1", "b2", "rc1".
std::optional<unsigned> release_level(Scanner& scanner) {
  constexpr std::pair<std::string_view, unsigned> levels[] = {{"rc", 0xc0}, {"a", 0xa0}, {"b", 0xb0}};
  for (const auto& [word, level] : levels) {
    if (!scanner.take(word)) continue;
    const auto serial = scanner.number();
    if (!serial || *serial > 0xf) return std::nullopt;
    return level | *serial;
  }
  return 0xf0;
}

/// The text at the beginning of `text`.
std::optional<FoundVersion> parse(std::string_view text) {
  Scanner scanner(text);
  if (!scanner.take("3.")) return std::nullopt;
  const auto minor = scanner.number();
  if (!minor || !scanner.take(".")) return std::nullopt;
  const auto micro = scanner.number();
  if (!micro) return std::nullopt;
  const auto level = release_level(scanner);
  if (!level) return std::nullopt;
  scanner.take("+");
  FoundVersion found;
  scanner.take(" experimental");
  found.free_threaded = scanner.take(" free-threading build");
  if (!scanner.take(" (") || !scanner.skip_past(") ", 80)) return std::nullopt;
  scanner.take("\n");
  if (!scanner.take("[")) return std::nullopt;
  found.version.hex = 3U << 24U | *minor << 16U | *micro << 8U | *level;
  return found;
}

/// Looks through what the module writes to.
std::optional<FoundVersion> search_text(const Memory& memory, const Module& module) {
  std::vector<std::byte> piece(piece_size + longest_text);
  std::uint64_t left = most_data;
  for (const Segment& segment : module.segments) {
    if (!segment.writable) continue;
    const std::uint64_t size = std::min(segment.memory_size, left);
    left -= size;
    for (std::uint64_t done = 0; done < size; done += piece_size) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, piece.size()));
      const std::size_t got =
          memory.read_some(segment.vaddr + module.bias + done, std::span(piece).first(wanted));
      if (const auto found = find_version_text(std::span(piece).first(got))) return found;
    }
  }
  return std::nullopt;
}

/// The version word of _Py_DebugOffsets, which 3.13 and newer begin _PyRuntime with.
std::optional<FoundVersion> read_published_version(const Memory& memory, Address runtime) {
  struct Head {
    std::array<char, 8> cookie;
    std::uint64_t version;
    std::uint64_t free_threaded;
  };
  const auto head = memory.read_value<Head>(runtime);
  if (!head.ok() || std::string_view(head->cookie.data(), head->cookie.size()) != cookie) return std::nullopt;
  return FoundVersion{{static_cast<std::uint32_t>(head->version)}, head->free_threaded != 0};
}

}  // namespace

std::optional<FoundVersion> find_version_text(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (std::size_t at = text.find("3."); at != std::string_view::npos; at = text.find("3.", at + 1)) {
    if (at > 0 && text[at - 1] != '\0') continue;  // the buffer is an array of its own
    if (auto found = parse(text.substr(at, longest_text))) return found;
  }
  return std::nullopt;
}

Result<FoundVersion> find_python_version(const Memory& memory, const Module& module, Address runtime,
                                         Address py_version) {
  std::optional<FoundVersion> found = search_text(memory, module);
  const char* source = "sys.version";
  std::optional<Error> against;
  const auto agree = [&](const FoundVersion& other, const char* other_source) {
    if (!found) {
      found = other;
      source = other_source;
    } else if (found->version.hex != other.version.hex && !against) {
      against = Error{ErrorCode::corrupt, runtime,
                      fmt::format("it is {} by {} and {} by {}", found->version.text(), source,
                                  other.version.text(), other_source)};
    }
    found->free_threaded = found->free_threaded || other.free_threaded;
  };
  if (py_version != 0) {
    const auto word = memory.read_value<std::uint32_t>(py_version);
    if (word.ok()) agree({{*word}, false}, "Py_Version");
  }
  if (const auto published = read_published_version(memory, runtime)) agree(*published, "_Py_DebugOffsets");
  if (against) return *std::move(against);
  if (!found) {
    return Error{ErrorCode::unsupported, runtime,
                 "nothing in it tells its version (no Py_Version, and no text like that of sys.version: it "
                 "is older than "
                 "3.11 and still starting, or was changed)"};
  }
  return *found;
}

}  // namespace coppice::inspect
