// coppice-sample-server: an HTTP server with a greenlet for every connection, and its own load.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "samples/server/load.hpp"
#include "samples/server/server.hpp"

namespace {

using namespace sample;

struct Options {
  unsigned connections = 2'000;
  unsigned seconds = 600;
  std::uint16_t port = 0;
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "coppice-sample-server: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

/// Exits after --help, and with 2 on wrong usage.
Options parse(int argc, char** argv) {
  Options options;
  CLI::App app(
      "An HTTP server on 127.0.0.1 with a greenlet for every connection, and a process that plays its "
      "clients.",
      "coppice-sample-server");
  app.add_option("--connections", options.connections, "How many clients to play (0: none)")
      ->check(CLI::Range(0U, 25'000U))  // of the ephemeral ports there are 28,000
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "When to end (0: not before a signal)")
      ->check(CLI::Range(0U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--port", options.port, "Where to listen (0: a free port)")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& ending) {
    std::exit(app.exit(ending) == 0 ? 0 : 2);
  }
  return options;
}

/// Each end needs a descriptor per connection. Returns how many connections the limit allows.
unsigned make_room_for(unsigned connections) {
  constexpr rlim_t others = 32;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
  const rlim_t wanted = std::min<rlim_t>(connections + others, limit.rlim_max);
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = wanted;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
  }
  if (connections + others <= limit.rlim_cur) return connections;
  const auto possible = static_cast<unsigned>(limit.rlim_cur > others ? limit.rlim_cur - others : 0);
  std::fprintf(stderr, "coppice-sample-server: %u connections instead of %u: ulimit -Hn is %ju\n", possible,
               connections, static_cast<std::uintmax_t>(limit.rlim_max));
  return possible;
}

/// Listens on the loopback interface; sets the port to the one in use.
int listen_on(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) fail("bind");
  if (::listen(fd, SOMAXCONN) != 0) fail("listen");
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

/// SIGINT and SIGTERM, as something to wait for.
int signals_to_wait_for() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int fd = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) fail("signalfd");
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  options.connections = make_room_for(options.connections);
  const int listener = listen_on(options.port);
  const pid_t load = options.connections > 0 ? start_load({options.port, options.connections}) : -1;
  std::printf("coppice-sample-server: pid %d, port %u, %u connections\n", ::getpid(), options.port,
              options.connections);
  std::fflush(stdout);

  // On the heap, since other greenlets use them while this one, the main greenlet, sleeps.
  const auto loop = std::make_unique<EventLoop>();
  const auto server = std::make_unique<Server>(*loop, listener);
  server->start();
  const int signals = signals_to_wait_for();
  const auto watch = coppice::spawn(
      [&loop = *loop, signals, seconds = options.seconds] {
        loop.wait_readable(
            signals, seconds > 0 ? Clock::duration(std::chrono::seconds(seconds)) : Clock::duration::max());
        loop.stop();
      },
      "deadline");
  loop->wake_soon(watch);
  loop->run();
  if (load > 0) stop_load(load);
  server->finish();
  std::printf("coppice-sample-server: %ju requests served\n", static_cast<std::uintmax_t>(server->served()));
}
