#include "inspect/memory/process_memory.hpp"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <vector>

namespace coppice::inspect {

namespace {

constexpr std::size_t kMostPieces = 1024;       // UIO_MAXIOV
constexpr std::size_t kMostBytes = 0x7ffff000;  // MAX_RW_COUNT: more is silently cut by the kernel
constexpr Address kPage = 4096;

Address page_of(Address address) {
  return address & ~(kPage - 1);
}

/// The part of a request that does not run around 2^64.
std::size_t size_of(const ReadRequest& request) {
  return static_cast<std::size_t>(std::min<std::uint64_t>(request.into.size(), UINT64_MAX - request.address));
}

/// Some of one request, as the kernel is asked for it.
struct Piece {
  ReadRequest* request;
  std::size_t size;
};

/// What one system call asks for. Pieces that touch each other in the target become one remote range.
struct Call {
  std::array<Piece, kMostPieces> pieces;
  std::array<iovec, kMostPieces> local;
  std::array<iovec, kMostPieces> remote;
  std::size_t piece_count = 0;
  std::size_t remote_count = 0;
  std::size_t bytes = 0;

  bool full() const { return piece_count == kMostPieces || bytes == kMostBytes; }

  void add(ReadRequest& request) {
    const Address at = request.address + request.got;
    const std::size_t size = std::min(size_of(request) - request.got, kMostBytes - bytes);
    pieces[piece_count] = {&request, size};
    local[piece_count] = {request.into.data() + request.got, size};
    ++piece_count;
    bytes += size;
    if (remote_count > 0) {
      iovec& last = remote[remote_count - 1];
      if (reinterpret_cast<Address>(last.iov_base) + last.iov_len == at) {
        last.iov_len += size;
        return;
      }
    }
    remote[remote_count++] = {reinterpret_cast<void*>(at), size};
  }
};

}  // namespace

ProcessMemory::ProcessMemory(pid_t tid, int pidfd, UniqueFd mem, Way way)
    : tid_(tid), pidfd_(pidfd), mem_(std::move(mem)), way_(way) {}

bool ProcessMemory::still_alive() const {
  pollfd exited{pidfd_, POLLIN, 0};
  return pidfd_ < 0 || poll(&exited, 1, 0) == 0;
}

void ProcessMemory::read_batch(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) request.got = 0;
  if (way_ == Way::proc_mem) {
    read_by_proc_mem(requests);
  } else if (requests.size() == 1) {
    ReadRequest* only = requests.data();
    read_by_system_call({&only, 1});
  } else {
    std::vector<ReadRequest*> sorted;
    sorted.reserve(requests.size());
    for (ReadRequest& request : requests) sorted.push_back(&request);
    std::ranges::sort(sorted, {}, &ReadRequest::address);
    read_by_system_call(sorted);
  }
  if (!still_alive()) {
    for (ReadRequest& request : requests) request.got = 0;
  }
}

void ProcessMemory::read_by_system_call(std::span<ReadRequest*> sorted) const {
  Call call;
  std::size_t next = 0;  // everything before it is done or has failed
  while (next < sorted.size()) {
    call.piece_count = call.remote_count = call.bytes = 0;
    for (std::size_t i = next; i < sorted.size() && !call.full(); ++i) {
      if (sorted[i]->got < size_of(*sorted[i])) {
        call.add(*sorted[i]);
      } else if (call.piece_count == 0) {
        next = i + 1;
      }
    }
    if (call.piece_count == 0) return;

    const ssize_t result =
        process_vm_readv(tid_, call.local.data(), call.piece_count, call.remote.data(), call.remote_count, 0);
    if (result < 0 && errno != EFAULT) return;
    std::size_t got = result < 0 ? 0 : static_cast<std::size_t>(result);
    std::size_t i = 0;
    for (; i < call.piece_count && got >= call.pieces[i].size; ++i) {
      got -= call.pieces[i].size;
      call.pieces[i].request->got += call.pieces[i].size;
    }
    if (i == call.piece_count) {
      // All of it arrived; a request cut by kMostBytes stays next.
      while (next < sorted.size() && sorted[next]->got == size_of(*sorted[next])) ++next;
      continue;
    }
    // The kernel stopped at an unreadable page. That request is over, and so is every one that begins there.
    ReadRequest& failed = *call.pieces[i].request;
    failed.got += got;
    const Address hole = page_of(failed.address + failed.got);
    while (next < sorted.size() && sorted[next] != &failed) ++next;
    ++next;
    while (next < sorted.size() && page_of(sorted[next]->address) == hole) ++next;
  }
}

void ProcessMemory::read_by_proc_mem(std::span<ReadRequest> requests) const {
  for (ReadRequest& request : requests) {
    const std::size_t size = size_of(request);
    while (request.got < size) {
      const Address at = request.address + request.got;
      if (at > static_cast<Address>(LLONG_MAX)) break;  // not a file offset; no process has memory there
      const ssize_t got =
          pread(mem_.get(), request.into.data() + request.got, size - request.got, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      request.got += static_cast<std::size_t>(got);
    }
  }
}

int probe_process_vm_readv(pid_t tid) {
  // Page 0 is never mapped: a permitted call answers EFAULT, and nothing was read.
  std::byte byte{};
  const iovec local{&byte, 1};
  const iovec remote{nullptr, 1};
  if (process_vm_readv(tid, &local, 1, &remote, 1, 0) >= 0) return 0;
  return errno == EFAULT ? 0 : errno;
}

}  // namespace coppice::inspect
