#include "inspect/worker/protocol.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace coppice::inspect::worker {
namespace {

constexpr std::size_t max_descriptors = 4;

struct alignas(cmsghdr) ControlBuffer {
  std::array<char, CMSG_SPACE(max_descriptors * sizeof(int))> bytes{};
};

Transfer wait_readable(int socket, int timeout_ms) {
  pollfd poll_for{socket, POLLIN, 0};
  for (;;) {
    const int ready = ::poll(&poll_for, 1, timeout_ms);
    if (ready > 0) return Transfer::complete;
    if (ready == 0) return Transfer::timed_out;
    if (errno != EINTR) return Transfer::closed;
  }
}

// Takes the descriptors out of a received control message, so that none leaks whatever happens next.
void collect_descriptors(msghdr& header, std::vector<UniqueFd>& into) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof descriptor);
      into.emplace_back(descriptor);
    }
  }
}

Transfer receive_exactly(int socket, std::span<std::byte> into, std::vector<UniqueFd>* descriptors,
                         int timeout_ms) {
  while (!into.empty()) {
    if (timeout_ms >= 0) {
      if (auto waited = wait_readable(socket, timeout_ms); waited != Transfer::complete) return waited;
    }
    iovec piece{into.data(), into.size()};
    ControlBuffer control;
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (descriptors != nullptr) {
      header.msg_control = control.bytes.data();
      header.msg_controllen = control.bytes.size();
    }
    const ssize_t got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return Transfer::closed;
    if (descriptors != nullptr) collect_descriptors(header, *descriptors);
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return Transfer::complete;
}

}  // namespace

Transfer send_message(int socket, const MessageHeader& header, std::span<const std::byte> body,
                      std::span<const int> descriptors) {
  if (body.size() > max_body || descriptors.size() > max_descriptors) return Transfer::malformed;
  MessageHeader sized = header;
  sized.size = static_cast<std::uint32_t>(body.size());
  std::array<iovec, 2> pieces{iovec{&sized, sizeof sized},
                              iovec{const_cast<std::byte*>(body.data()), body.size()}};
  ControlBuffer control;
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = body.empty() ? 1 : 2;
  if (!descriptors.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
  }
  std::size_t left = sizeof sized + body.size();
  while (left > 0) {
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Transfer::closed;
    left -= static_cast<std::size_t>(sent);
    message.msg_control = nullptr;  // the descriptors went with the first bytes
    message.msg_controllen = 0;
    std::size_t skip = static_cast<std::size_t>(sent);
    for (iovec& piece : pieces) {
      const std::size_t step = std::min(skip, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + step;
      piece.iov_len -= step;
      skip -= step;
    }
  }
  return Transfer::complete;
}

Transfer receive_message(int socket, Message& message, int timeout_ms) {
  message.descriptors.clear();
  const auto header_bytes = std::as_writable_bytes(std::span(&message.header, 1));
  auto received = receive_exactly(socket, header_bytes, &message.descriptors, timeout_ms);
  if (received != Transfer::complete) return received;
  if (message.header.magic != MessageHeader::expected_magic || message.header.size > max_body) {
    return Transfer::malformed;
  }
  message.body.resize(message.header.size);
  return receive_exactly(socket, message.body, nullptr, timeout_ms);
}

}  // namespace coppice::inspect::worker
