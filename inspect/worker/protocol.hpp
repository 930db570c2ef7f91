// The language between the inspector and coppice-worker: framed messages over a stream socket.
//
//      client                                     worker
//        |  request  [header | body] + descriptors   |
//        | ----------------------------------------> |   one request at a time
//        |  answer   [header | body]                 |
//        | <---------------------------------------- |   any number: answer k belongs to item k of the
//        request |  done     [header]                        | | <---------------------------------------- |
//
// A worker that dies amid a request leaves its item unanswered; that is how the client knows whom to blame.
// Both ends are built from one source and started together, so there are no versions; each end still checks
// what it receives, since a worker that parsed hostile bytes may say anything.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "inspect/base/unique_fd.hpp"

namespace coppice::inspect::worker {

/// What a message asks or says. Add requests at the end; inspect/worker/server/main.cpp names their services.
enum class MessageKind : std::uint16_t {
  ready = 1,    ///< worker, once, when its sandbox stands: empty; or the reason why it cannot work
  answer,       ///< worker: the result of one item
  done,         ///< worker: every item was answered
  stalled,      ///< worker: the item now worked at used up its CPU time; the worker exits
  open_file,    ///< u32 FileId, with one descriptor; no answers
  close_file,   ///< u32 FileId; no answers
  learn_rules,  ///< inspect/worker/learn_protocol.hpp
  symbolize,    ///< inspect/worker/symbolize_protocol.hpp
  debug_links,  ///< inspect/worker/symbolize_protocol.hpp
};

/// How the client and the worker call an ELF file whose descriptor was passed. Never used twice by one
/// client.
using FileId = std::uint32_t;

/// Precedes every message.
struct MessageHeader {
  static constexpr std::uint32_t expected_magic = 0x4b52574fU;
  std::uint32_t magic = expected_magic;
  MessageKind kind = MessageKind::ready;
  /// Requests only: how many answers may be held back to be sent together. 1 makes blame exact.
  std::uint16_t batch = 1;
  std::uint32_t size = 0;       ///< bytes of body
  std::uint32_t cpu_limit = 0;  ///< requests only: milliseconds of CPU time an item may use
};

inline constexpr std::uint32_t max_body = 64U << 20;  ///< larger messages are refused by both ends
inline constexpr int worker_socket = 3;               ///< the worker's end of the socket pair

/// Appends numbers and strings to a message body.
class BodyWriter {
 public:
  template <class T>
    requires std::is_trivially_copyable_v<T>
  BodyWriter& put(const T& value) {
    auto bytes = std::as_bytes(std::span(&value, 1));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  BodyWriter& put_string(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    return put_bytes(std::as_bytes(std::span(text)));
  }
  BodyWriter& put_bytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  void clear() noexcept { bytes_.clear(); }

 private:
  std::vector<std::byte> bytes_;
};

/// Takes numbers and strings from a message body. After any failure `ok()` is false and all further reads
/// fail.
class BodyReader {
 public:
  explicit BodyReader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  /// Reads a value, or leaves it alone and returns false.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  bool get(T& value) noexcept {
    if (!ok_ || bytes_.size() < sizeof(T)) return ok_ = false;
    std::memcpy(&value, bytes_.data(), sizeof(T));
    bytes_ = bytes_.subspan(sizeof(T));
    return true;
  }
  bool get_string(std::string& text) {
    std::uint32_t size = 0;
    if (!get(size) || bytes_.size() < size) return ok_ = false;
    text.assign(reinterpret_cast<const char*>(bytes_.data()), size);
    bytes_ = bytes_.subspan(size);
    return true;
  }
  bool ok() const noexcept { return ok_; }
  std::size_t left() const noexcept { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

/// A received message.
struct Message {
  MessageHeader header;
  std::vector<std::byte> body;
  std::vector<UniqueFd> descriptors;
};

/// What became of a transfer.
enum class Transfer : std::uint8_t { complete, closed, timed_out, malformed };

/// Sends one message with at most 4 descriptors. Blocks until it is away; never raises SIGPIPE.
Transfer send_message(int socket, const MessageHeader& header, std::span<const std::byte> body,
                      std::span<const int> descriptors = {});

/// Receives one message. `timeout_ms` limits each wait for more bytes; negative waits for ever.
Transfer receive_message(int socket, Message& message, int timeout_ms);

}  // namespace coppice::inspect::worker
