#include "inspect/target/descriptors.hpp"

#include <arpa/inet.h>
#include <fcntl.h>

#include <array>
#include <cstring>
#include <sstream>
#include <string_view>

#include <fmt/format.h>

#include "inspect/base/files.hpp"

namespace coppice::inspect {
namespace {

constexpr std::size_t largest_table = 64U << 20U;

/// Include/net/tcp_states.h of Linux.
const char* tcp_state(unsigned state) {
  constexpr std::array names{"",          "established", "connecting", "handshake",      "closing",
                             "closing",   "time wait",   "closed",     "closed by peer", "closing",
                             "listening", "closing",     "handshake"};
  return state < names.size() ? names[state] : "";
}

}  // namespace

std::string internet_address(const std::string& hex) {
  const std::size_t colon = hex.find(':');
  if (colon != 8 && colon != 32) return {};
  unsigned port = 0;
  if (std::sscanf(hex.c_str() + colon + 1, "%x", &port) != 1) return {};
  // Each group of eight digits is a word in the machine's byte order.
  std::array<std::uint32_t, 4> words{};
  for (std::size_t i = 0; i < colon / 8; ++i) {
    if (std::sscanf(hex.substr(i * 8, 8).c_str(), "%x", &words[i]) != 1) return {};
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = colon == 8 ? AF_INET : AF_INET6;
  if (::inet_ntop(family, words.data(), text.data(), text.size()) == nullptr) return {};
  return family == AF_INET ? fmt::format("{}:{}", text.data(), port)
                           : fmt::format("[{}]:{}", text.data(), port);
}

void Descriptors::read_internet_sockets(const char* file, bool udp) {
  const auto table = read_text_at(AT_FDCWD, fmt::format("/proc/{}/net/{}", pid_, file), largest_table);
  if (!table.ok()) return;
  std::istringstream lines(*table);
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, state, skipped;
    std::uint64_t inode = 0;
    fields >> number >> local >> remote >> state;
    for (int i = 0; i < 5; ++i) fields >> skipped;  // queues, timer, retransmits, uid, timeout
    if (!(fields >> inode) || inode == 0) continue;
    unsigned code = 0;
    if (std::sscanf(state.c_str(), "%x", &code) != 1) continue;
    const std::string here = internet_address(local), there = internet_address(remote);
    constexpr unsigned listening = 10;
    const bool connected = !there.ends_with(":0");
    std::string text;
    if (udp) {
      text = connected ? " -> " + there + " (UDP)" : " at " + here + " (UDP)";
    } else if (code == listening) {
      text = " at " + here + " (listening)";
    } else {
      text = connected ? fmt::format(" -> {} ({})", there, tcp_state(code)) : " (not connected)";
    }
    sockets_.emplace(inode, std::move(text));
  }
}

void Descriptors::read_unix_sockets() {
  const auto table = read_text_at(AT_FDCWD, fmt::format("/proc/{}/net/unix", pid_), largest_table);
  if (!table.ok()) return;
  std::istringstream lines(*table);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string skipped, path;
    std::uint64_t inode = 0;
    for (int i = 0; i < 6; ++i) fields >> skipped;  // address, reference count, protocol, flags, type, state
    if (!(fields >> inode)) continue;
    fields >> path;
    sockets_.emplace(inode, path.empty() ? " (unix)" : " at " + path + " (unix)");
  }
}

void Descriptors::read_sockets() {
  if (sockets_read_) return;
  sockets_read_ = true;
  read_internet_sockets("tcp", false);
  read_internet_sockets("tcp6", false);
  read_internet_sockets("udp", true);
  read_internet_sockets("udp6", true);
  read_unix_sockets();
}

std::string Descriptors::describe(int fd) {
  const std::string link = read_link_at(AT_FDCWD, fmt::format("/proc/{}/fd/{}", pid_, fd));
  if (link.empty()) return {};
  constexpr std::string_view socket = "socket:[", pipe = "pipe:[", anonymous = "anon_inode:";
  if (link.starts_with(socket)) {
    std::uint64_t inode = 0;
    std::istringstream(link.substr(socket.size())) >> inode;
    read_sockets();
    const auto known = sockets_.find(inode);
    return fmt::format("socket {}{}", fd, known != sockets_.end() ? known->second : "");
  }
  if (link.starts_with(pipe)) return fmt::format("pipe {}", fd);
  if (link.starts_with(anonymous)) {
    std::string kind = link.substr(anonymous.size());
    std::erase_if(kind, [](char c) { return c == '[' || c == ']'; });
    return fmt::format("{} {}", kind, fd);
  }
  return fmt::format("file {} {}", fd, link);
}

}  // namespace coppice::inspect
