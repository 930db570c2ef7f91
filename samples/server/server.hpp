// The server: a greenlet that accepts, one for each connection, and a few that work in the background.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "samples/server/database.hpp"
#include "samples/server/event_loop.hpp"
#include "samples/server/http.hpp"

namespace sample {

class Server {
 public:
  /// `listener`: a listening, non-blocking socket, borrowed.
  Server(EventLoop& loop, int listener);

  /// Starts the greenlets of the server. To be called before EventLoop::run(), in the thread's main greenlet.
  void start();

  /// Ends every greenlet, so that all destructors run. To be called after EventLoop::run().
  void finish();

  std::uint64_t served() const noexcept { return served_; }

 private:
  using Handler = std::function<std::string(const Request&)>;
  struct Route {
    const char* method;
    const char* prefix;
    Handler handler;
  };

  void add_routes();
  void accept_connections();
  void serve(int fd);
  void print_status();
  /// Lets the loop start a greenlet soon, as a child of the main one.
  void launch(coppice::Greenlet greenlet);
  void forget_finished();

  EventLoop& loop_;
  int listener_;
  Database database_;
  std::vector<Route> routes_;
  std::vector<coppice::Greenlet> greenlets_;
  std::uint64_t served_ = 0;
  std::uint64_t accepted_ = 0;
};

}  // namespace sample
