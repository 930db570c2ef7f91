#include "samples/server/load.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace sample {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// What a client does all its life.
enum class Role { silent, half_request, slow_reader, watcher, reporter, transferrer, browser };

struct Client {
  int fd = -1;
  Role role = Role::silent;
  Clock::time_point next;  ///< when to act again; max(): when an answer has come
};

class Load {
 public:
  explicit Load(const LoadPlan& plan) : plan_(plan), random_(plan.seed), clients_(plan.connections) {}

  [[noreturn]] void run() {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < clients_.size(); ++i) connect(i);
    for (;;) {
      take_answers();
      const auto now = Clock::now();
      for (std::size_t i = 0; i < clients_.size(); ++i) {
        if (clients_[i].next <= now) act(i);
      }
    }
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  Role pick_role() {
    static constexpr Role roles[] = {
        Role::silent,      Role::silent,      Role::half_request, Role::half_request, Role::slow_reader,
        Role::slow_reader, Role::watcher,     Role::watcher,      Role::watcher,      Role::reporter,
        Role::reporter,    Role::reporter,    Role::reporter,     Role::reporter,     Role::reporter,
        Role::transferrer, Role::transferrer, Role::transferrer,  Role::browser,      Role::browser};
    return roles[below(std::size(roles))];
  }

  /// Without a server there is nothing left to do.
  void connect(std::size_t index) {
    Client& client = clients_[index];
    if (client.fd >= 0) ::close(client.fd);
    client.role = pick_role();
    client.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client.role == Role::slow_reader) {
      const int small = 4'096;
      ::setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(plan_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (client.fd < 0 || ::connect(client.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      ::_exit(0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    // A slow reader does not look whether there is anything to read.
    if (client.role != Role::slow_reader) ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event);
    client.next = Clock::now() + milliseconds(below(1'000));
  }

  void act(std::size_t index) {
    Client& client = clients_[index];
    client.next = Clock::time_point::max();
    switch (client.role) {
      case Role::silent:
        return;
      case Role::half_request:
        return send(client, "PUT /items/7 HTTP/1.1\r\nContent-Length: 400\r\n\r\nhalf of it");
      case Role::slow_reader:
        return read_slowly(client);
      case Role::watcher:
        return get(client, "/watch/" + std::to_string(below(20)));
      case Role::reporter:
        return get(client, "/report/" + std::to_string(below(1'000)));
      case Role::transferrer:
        return send(client, "POST /transfer/" + std::to_string(below(12)) + "/" + std::to_string(below(12)) +
                                " HTTP/1.1\r\n\r\n");
      case Role::browser:
        if (below(4) != 0) return get(client, "/items/" + std::to_string(below(20)));
        return send(client, "PUT /items/" + std::to_string(below(20)) +
                                " HTTP/1.1\r\nContent-Length: 5\r\n\r\nvalue");
    }
  }

  void get(const Client& client, const std::string& path) {
    send(client, "GET " + path + " HTTP/1.1\r\n\r\n");
  }

  static void send(const Client& client, const std::string& request) {
    [[maybe_unused]] const auto sent =
        ::send(client.fd, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  /// Asks once in a while for far more than it reads.
  void read_slowly(Client& client) {
    char buffer[512];
    if (::recv(client.fd, buffer, sizeof buffer, MSG_DONTWAIT) < 0) get(client, "/export");
    client.next = Clock::now() + milliseconds(500 + below(1'000));
  }

  void take_answers() {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll_, events, static_cast<int>(std::size(events)), 50);
    for (int i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(events[i].data.u64);
      Client& client = clients_[index];
      char buffer[16'384];
      if (::recv(client.fd, buffer, sizeof buffer, MSG_DONTWAIT) <= 0 || below(50) == 0) {
        connect(index);  // dropped by the server, or tired of this life
      } else {
        client.next = Clock::now() + milliseconds(50 + below(2'000));
      }
    }
  }

  LoadPlan plan_;
  std::mt19937_64 random_;
  std::vector<Client> clients_;
  int epoll_ = -1;
};

}  // namespace

pid_t start_load(const LoadPlan& plan) {
  const pid_t server = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "sample-load");
  if (::getppid() != server) ::_exit(0);
  Load(plan).run();
}

void stop_load(pid_t load) {
  ::kill(load, SIGKILL);
  ::waitpid(load, nullptr, 0);
}

}  // namespace sample
