#include "inspect/memory/slice_memory.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace coppice::inspect {

namespace {

/// More than any thread's stack: a greenlet that claims more is corrupt.
constexpr std::uint64_t kLargestStack = std::uint64_t{1} << 30;
/// Up to here both pieces are fetched at once.
constexpr std::uint64_t kOrdinaryStack = 1 << 20;

/// Appends what is readable of [address, address + size) to `bytes`. A size that lies costs no more than
/// twice the bytes there are. False when something is missing.
bool append_readable(std::vector<std::byte>& bytes, const Memory& memory, Address address,
                     std::uint64_t size) {
  for (std::uint64_t done = 0; done < size;) {
    const std::size_t have = bytes.size();
    const std::size_t wanted =
        std::min<std::uint64_t>(size - done, std::max<std::uint64_t>(have, kOrdinaryStack));
    bytes.resize(have + wanted);
    const std::size_t got = memory.read_some(address + done, std::span(bytes).subspan(have));
    bytes.resize(have + got);
    if (got < wanted) return false;
    done += got;
  }
  return true;
}

/// Bytes of [address, address + size) below `limit`, address < limit.
std::size_t below(Address address, std::size_t size, Address limit) {
  return static_cast<std::size_t>(std::min<std::uint64_t>(size, limit - address));
}

}  // namespace

SliceMemory::SliceMemory(Slice slice, std::vector<std::byte> stack, const Memory* outside)
    : slice_(slice), stack_(std::move(stack)), outside_(outside) {
  if (slice_.stop < slice_.start) slice_.stop = slice_.start;
  if (stack_.size() > slice_.size()) stack_.resize(slice_.size());
}

SliceMemory SliceMemory::fetch(const Slice& slice, const Memory& target) {
  std::vector<std::byte> stack;
  const bool possible =
      slice.stop > slice.start && slice.size() <= kLargestStack && slice.saved <= slice.size();
  if (possible && slice.size() > kOrdinaryStack) {
    if (append_readable(stack, target, slice.copy, slice.saved)) {
      append_readable(stack, target, slice.start + slice.saved, slice.unsaved());
    }
  } else if (possible) {
    stack.resize(slice.size());
    const std::span<std::byte> bytes(stack);
    std::array requests{
        ReadRequest{slice.copy, bytes.first(slice.saved), 0},
        ReadRequest{slice.start + slice.saved, bytes.subspan(slice.saved), 0},
    };
    target.read_batch(requests);
    // What lies behind a gap is of no use: `stack()` promises bytes without one.
    const std::size_t got = requests[0].got < slice.saved ? requests[0].got : slice.saved + requests[1].got;
    stack.resize(got);
  }
  return SliceMemory(slice, std::move(stack), &target);
}

void SliceMemory::read_batch(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) {
    request.got = 0;
    while (request.got < request.into.size()) {
      const Address at = request.address + request.got;
      if (at < request.address) break;  // never around 2^64
      const std::span<std::byte> rest = request.into.subspan(request.got);
      std::size_t wanted = rest.size();
      std::size_t got = 0;
      if (at >= slice_.start && at < slice_.stop) {
        wanted = below(at, wanted, slice_.stop);
        const std::uint64_t offset = at - slice_.start;
        if (offset < stack_.size()) {
          got = std::min<std::size_t>(wanted, stack_.size() - offset);
          std::memcpy(rest.data(), stack_.data() + offset, got);
        }
      } else {
        if (at < slice_.start) wanted = below(at, wanted, slice_.start);
        if (outside_ != nullptr) got = outside_->read_some(at, rest.first(wanted));
      }
      request.got += got;
      if (got < wanted) break;
    }
  }
}

}  // namespace coppice::inspect
