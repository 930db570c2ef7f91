#include "inspect/memory/memory.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

namespace coppice::inspect {

std::size_t Memory::read_some(Address address, std::span<std::byte> into) const {
  ReadRequest request{address, into, 0};
  read_batch({&request, 1});
  return request.got;
}

Result<void> Memory::read(Address address, std::span<std::byte> into) const {
  const std::size_t got = read_some(address, into);
  if (got == into.size()) return {};
  const Address failed = address + got;
  return Error{ErrorCode::unreadable, failed, fmt::format("cannot read memory at 0x{:x}", failed)};
}

Result<std::string> Memory::read_string(Address address, std::size_t limit) const {
  std::string text;
  std::array<char, 256> piece;
  while (text.size() < limit) {
    const std::size_t wanted = std::min(piece.size(), limit - text.size());
    const std::size_t got =
        read_some(address + text.size(), std::as_writable_bytes(std::span(piece.data(), wanted)));
    if (got == 0 && text.empty()) {
      return Error{ErrorCode::unreadable, address, fmt::format("cannot read a string at 0x{:x}", address)};
    }
    const std::size_t length = strnlen(piece.data(), got);
    text.append(piece.data(), length);
    if (length < got || got < wanted) break;
  }
  return text;
}

}  // namespace coppice::inspect
