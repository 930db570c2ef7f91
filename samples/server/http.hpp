// As much of HTTP/1.1 as a sample needs: enough for curl.
#pragma once

#include <string>
#include <string_view>

#include "samples/server/event_loop.hpp"

namespace sample {

struct Request {
  std::string method;
  std::string path;
  std::string body;
};

/// A connected, non-blocking socket and what has been read from it but not used. Owns the descriptor.
class Connection {
 public:
  Connection(EventLoop& loop, int fd) : loop_(loop), fd_(fd) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Waits for a whole request; false when the peer is gone, silent for too long, or sends what is no
  /// request.
  bool read_request(Request& request);

  /// Writes a response, waiting as often as the peer is slow; false when the peer is gone.
  bool respond(int status, std::string_view body);

 private:
  bool read_head(Request& request, std::size_t& body_size);
  bool read_body(Request& request, std::size_t size);
  bool read_more();
  bool write_all(std::string_view bytes);

  EventLoop& loop_;
  int fd_;
  std::string unread_;
};

}  // namespace sample
