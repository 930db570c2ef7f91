#include "inspect/target/proc_files.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>

namespace coppice::inspect {

namespace {

/// Takes the first word off `text`.
std::string_view take_word(std::string_view& text) {
  constexpr std::string_view kBlank = " \t\n";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(kBlank));
  text.remove_prefix(word.size());
  return word;
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

template <class T>
std::optional<T> number(std::string_view word, int base) {
  if (base == 16 && word.starts_with("0x")) word.remove_prefix(2);
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
  if (error != std::errc() || end != word.data() + word.size() || word.empty()) return std::nullopt;
  return value;
}

/// Two numbers around a separator: "start-end", "major:minor".
std::optional<std::pair<std::uint64_t, std::uint64_t>> pair_of(std::string_view word, char separator) {
  const std::size_t at = word.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const auto first = number<std::uint64_t>(word.substr(0, at), 16);
  const auto second = number<std::uint64_t>(word.substr(at + 1), 16);
  if (!first || !second) return std::nullopt;
  return std::pair(*first, *second);
}

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

/// The kernel writes awkward bytes of a name as \ooo, and in `status` as \n and \\.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 'n' || text[i + 1] == '\\')) {
      plain += text[++i] == 'n' ? '\n' : '\\';
    } else {
      plain += text[i];
    }
  }
  return plain;
}

/// In `maps` only a newline is escaped; a backslash stands for itself.
std::string unescape_newlines(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 4) == "\\012") {
      plain += '\n';
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::optional<MappedRange> parse_mapping(std::string_view line) {
  const auto range = pair_of(take_word(line), '-');
  const std::string_view permissions = take_word(line);
  const auto offset = number<std::uint64_t>(take_word(line), 16);
  const auto device = pair_of(take_word(line), ':');
  const auto inode = number<ino_t>(take_word(line), 10);
  if (!range || permissions.size() < 4 || !offset || !device || !inode || range->first >= range->second) {
    return std::nullopt;
  }
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  MappedRange mapped;
  mapped.mapping = {range->first,          range->second, permissions[0] == 'r',  permissions[1] == 'w',
                    permissions[2] == 'x', *offset,       unescape_newlines(line)};
  mapped.file = {makedev(static_cast<unsigned>(device->first), static_cast<unsigned>(device->second)),
                 *inode};
  return mapped;
}

}  // namespace

std::vector<MappedRange> parse_maps(std::string_view text) {
  std::vector<MappedRange> ranges;
  while (!text.empty()) {
    auto range = parse_mapping(take_line(text));
    if (!range || (!ranges.empty() && range->mapping.start < ranges.back().mapping.end)) continue;
    ranges.push_back(std::move(*range));
  }
  return ranges;
}

ProcStatus parse_status(std::string_view text) {
  ProcStatus status;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);
    line.remove_prefix(colon + 1);
    if (key == "Name") {
      status.name = unescape(line.substr(std::min<std::size_t>(line.size(), 1)));
    } else if (key == "State") {
      const std::string_view word = take_word(line);
      if (!word.empty()) status.state = word[0];
    } else if (key == "Tgid") {
      status.thread_group = number<pid_t>(take_word(line), 10).value_or(0);
    } else if (key == "PPid") {
      status.parent = number<pid_t>(take_word(line), 10).value_or(0);
    } else if (key == "TracerPid") {
      status.tracer = number<pid_t>(take_word(line), 10).value_or(0);
    } else if (key == "NSpid") {
      for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
        status.nstid = number<pid_t>(word, 10);
      }
    } else if (key == "Uid") {
      status.real_uid = number<uid_t>(take_word(line), 10).value_or(0);
      status.effective_uid = number<uid_t>(take_word(line), 10).value_or(0);
    } else if (key == "CapEff") {
      status.effective_capabilities = number<std::uint64_t>(take_word(line), 16).value_or(0);
    } else if (key == "Seccomp") {
      status.seccomp = number<int>(take_word(line), 10).value_or(0);
    }
  }
  return status;
}

std::optional<BlockedAt> parse_syscall(std::string_view text) {
  std::vector<std::string_view> words;
  for (auto word = take_word(text); !word.empty() && words.size() < 10; word = take_word(text)) {
    words.push_back(word);
  }
  // "running"; "-1 sp pc" outside a system call; "number six arguments sp pc" inside.
  if (words.size() != 3 && words.size() != 9) return std::nullopt;
  const auto sp = number<Address>(words[words.size() - 2], 16);
  const auto pc = number<Address>(words[words.size() - 1], 16);
  if (!sp || !pc || *sp == 0 || *pc == 0) return std::nullopt;
  return BlockedAt{.sp = *sp, .pc = *pc, .in_system_call = words.size() == 9};
}

}  // namespace coppice::inspect
