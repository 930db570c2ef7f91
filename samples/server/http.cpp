#include "samples/server/http.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>

namespace sample {

namespace {

constexpr std::size_t longest_head = 8'192;
constexpr std::size_t longest_body = 65'536;
constexpr auto patience = std::chrono::minutes(10);

/// The number after "Content-Length:", 0 without one, `longest_body + 1` when it makes no sense.
std::size_t content_length(std::string_view head) {
  static constexpr std::string_view field = "\r\nContent-Length:";
  const auto at = head.find(field);
  if (at == std::string_view::npos) return 0;
  std::string_view digits = head.substr(at + field.size());
  digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
  std::size_t size = longest_body + 1;
  std::from_chars(digits.data(), digits.data() + digits.size(), size);
  return size;
}

}  // namespace

Connection::~Connection() {
  ::close(fd_);
}

bool Connection::read_request(Request& request) {
  std::size_t body_size = 0;
  return read_head(request, body_size) && read_body(request, body_size);
}

bool Connection::read_head(Request& request, std::size_t& body_size) {
  std::size_t end;
  while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
    if (unread_.size() > longest_head || !read_more()) return false;
  }
  const std::string head = unread_.substr(0, end);
  unread_.erase(0, end + 4);
  const auto method_end = head.find(' ');
  const auto path_end = head.find(' ', method_end == std::string::npos ? method_end : method_end + 1);
  if (path_end == std::string::npos) return false;
  request.method = head.substr(0, method_end);
  request.path = head.substr(method_end + 1, path_end - method_end - 1);
  body_size = content_length(head);
  return body_size <= longest_body;
}

bool Connection::read_body(Request& request, std::size_t size) {
  while (unread_.size() < size) {
    if (!read_more()) return false;
  }
  request.body = unread_.substr(0, size);
  unread_.erase(0, size);
  return true;
}

bool Connection::read_more() {
  for (;;) {
    char buffer[2'048];  // the kernel uses it during the call only: the socket does not block
    const ssize_t got = ::read(fd_, buffer, sizeof buffer);
    if (got > 0) {
      unread_.append(buffer, static_cast<std::size_t>(got));
      return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) return false;
    if (!loop_.wait_readable(fd_, patience)) return false;
  }
}

bool Connection::respond(int status, std::string_view body) {
  const std::string head = "HTTP/1.1 " + std::to_string(status) + (status == 200 ? " OK" : " Not Found") +
                           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return write_all(head) && write_all(body);
}

bool Connection::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
    } else if ((errno != EAGAIN && errno != EINTR) || !loop_.wait_writable(fd_, patience)) {
      return false;
    }
  }
  return true;
}

}  // namespace sample
