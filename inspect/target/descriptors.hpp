// What the file descriptors of a live process are.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <unordered_map>

namespace coppice::inspect {

/// Names descriptors as of now: "socket 7 -> 10.0.0.5:5432 (established)", "socket 3 at 0.0.0.0:8000
/// (listening)", "pipe 5", "file 4 /var/log/app.log", "eventfd 6". From /proc/PID/fd and, for the addresses
/// of sockets, /proc/PID/net (of the process's own network namespace), which is read once, when a socket is
/// first asked for. Nothing is opened but those files. Thread-safety: one thread at a time.
class Descriptors {
 public:
  explicit Descriptors(pid_t pid) : pid_(pid) {}

  /// Empty when the process has no such descriptor, or does not tell.
  std::string describe(int fd);

 private:
  void read_sockets();
  void read_internet_sockets(const char* file, bool udp);
  void read_unix_sockets();

  pid_t pid_;
  bool sockets_read_ = false;
  std::unordered_map<std::uint64_t, std::string> sockets_;  ///< what follows the number, by inode
};

/// One address of /proc/net/tcp ("0100007F:1F90") or tcp6 as people write it: "127.0.0.1:8080", "[::1]:8080";
/// empty when it is none.
std::string internet_address(const std::string& hex);

}  // namespace coppice::inspect
