#include "samples/server/server.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace sample {

namespace {

/// "/items/7" and "/items/" give "7".
std::string rest_of_path(const Request& request, std::string_view prefix) {
  return request.path.substr(prefix.size());
}

unsigned account(const std::string& text) {
  return static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 10) % 64);
}

}  // namespace

Server::Server(EventLoop& loop, int listener) : loop_(loop), listener_(listener), database_(loop) {
  add_routes();
}

void Server::add_routes() {
  routes_ = {
      {"GET", "/items/",
       [this](const Request& r) { return database_.get(rest_of_path(r, "/items/")) + "\n"; }},
      {"PUT", "/items/",
       [this](const Request& r) {
         database_.put(rest_of_path(r, "/items/"), r.body);
         return std::string("stored\n");
       }},
      {"GET", "/watch/",
       [this](const Request& r) { return database_.wait_for_change(rest_of_path(r, "/watch/")) + "\n"; }},
      {"GET", "/report/",
       [this](const Request& r) {
         return database_.report(std::strtoull(rest_of_path(r, "/report/").c_str(), nullptr, 10) % 1'000);
       }},
      {"POST", "/transfer/",
       [this](const Request& r) {
         const std::string accounts = rest_of_path(r, "/transfer/");
         const auto slash = std::min(accounts.find('/'), accounts.size());
         return database_.transfer(account(accounts),
                                   account(accounts.substr(std::min(slash + 1, accounts.size()))), 5);
       }},
      {"GET", "/export", [](const Request&) { return std::string(100'000, 'x'); }},
      {"GET", "/",
       [](const Request&) {
         return std::string(
             "GET|PUT /items/KEY, GET /watch/KEY, GET /report/N, POST /transfer/FROM/TO, GET /export\n");
       }},
  };
}

void Server::start() {
  launch(coppice::spawn([this] { accept_connections(); }, "acceptor"));
  launch(coppice::spawn([this] { database_.compact(); }, "compactor"));
  launch(coppice::spawn([this] { print_status(); }, "status"));
}

void Server::finish() {
  for (const auto& greenlet : greenlets_) {
    if (!greenlet.finished()) greenlet.kill();
  }
  greenlets_.clear();
}

void Server::accept_connections() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE) {
        loop_.sleep_for(std::chrono::milliseconds(100));
      } else {
        loop_.wait_readable(listener_);
      }
      continue;
    }
    const int small = 16'384;  // so that slow readers are felt here and not hidden by the kernel
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    launch(coppice::spawn([this, fd] { serve(fd); }, "conn-" + std::to_string(++accepted_)));
  }
}

void Server::serve(int fd) try {
  Connection connection(loop_, fd);
  Request request;
  while (connection.read_request(request)) {
    const Route* matching = nullptr;
    for (const Route& route : routes_) {
      if (matching == nullptr && request.method == route.method && request.path.starts_with(route.prefix))
        matching = &route;
    }
    const bool sent = matching != nullptr ? connection.respond(200, matching->handler(request))
                                          : connection.respond(404, "no such thing\n");
    if (!sent) return;
    ++served_;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "coppice-sample-server: a connection failed: %s\n", error.what());
}

void Server::print_status() {
  for (std::uint64_t before = 0;; before = served_) {
    loop_.sleep_for(std::chrono::seconds(10));
    forget_finished();
    std::printf("coppice-sample-server: %zu greenlets, %ju requests served, %ju in the last 10 s\n",
                greenlets_.size(), static_cast<std::uintmax_t>(served_),
                static_cast<std::uintmax_t>(served_ - before));
    std::fflush(stdout);
  }
}

void Server::launch(coppice::Greenlet greenlet) {
  const auto main = coppice::main_greenlet();
  if (greenlet.parent() != main) greenlet.set_parent(main);
  greenlets_.push_back(greenlet);
  loop_.wake_soon(std::move(greenlet));
}

void Server::forget_finished() {
  std::erase_if(greenlets_, [](const coppice::Greenlet& greenlet) { return greenlet.finished(); });
}

}  // namespace sample
