// coppice-sample-server: an HTTP server with a greenlet for every connection, and its own load.
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

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

constexpr char usage[] =
    "Usage: coppice-sample-server [--connections N] [--seconds S] [--port P]\n"
    "An HTTP server on 127.0.0.1 with a greenlet for every connection, and a process that plays its "
    "clients.\n"
    "  --connections N  how many clients to play (2000; 0: none)\n"
    "  --seconds S      when to end (600; 0: not before a signal)\n"
    "  --port P         where to listen (a free port)\n";

struct Options {
  unsigned connections = 2'000;
  unsigned seconds = 600;
  std::uint16_t port = 0;
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "coppice-sample-server: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

unsigned number(const char* text, unsigned highest) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text, &end, 10);
  if (end != text && *end == '\0' && *text != '-' && value <= highest) return static_cast<unsigned>(value);
  std::fprintf(stderr, "coppice-sample-server: %s is not a number from 0 to %u\n", text, highest);
  std::exit(2);
}

Options parse(int argc, char** argv) {
  static const option long_options[] = {{"connections", required_argument, nullptr, 'c'},
                                        {"seconds", required_argument, nullptr, 's'},
                                        {"port", required_argument, nullptr, 'p'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {}};
  Options options;
  for (int c = 0; (c = ::getopt_long(argc, argv, "", long_options, nullptr)) != -1;) {
    switch (c) {
      case 'c':
        options.connections = number(optarg, 25'000);
        break;  // of the ephemeral ports there are 28,000
      case 's':
        options.seconds = number(optarg, 1'000'000);
        break;
      case 'p':
        options.port = static_cast<std::uint16_t>(number(optarg, 65'535));
        break;
      case 'h':
        std::fputs(usage, stdout);
        std::exit(0);
      default:
        std::fputs(usage, stderr);
        std::exit(2);
    }
  }
  if (optind != argc) {
    std::fputs(usage, stderr);
    std::exit(2);
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
