// The worker as a process: found, started, judged by its socket, replaced, and gone afterwards.
#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include "inspect/worker/worker.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using worker::MessageKind;

namespace {

Worker::Options program() {
  Worker::Options options;
  options.program = COPPICE_WORKER_PROGRAM;
  return options;
}

// Children of this process in any state, zombies included.
int children() {
  std::ifstream list("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  int count = 0;
  for (std::string pid; list >> pid;) ++count;
  return count;
}

}  // namespace

TEST_CASE("a worker starts at the first request and is gone with its object") {
  {
    Worker worker(program());
    CHECK(children() == 0);
    // A kind that no service answers is a protocol error: the worker exits, and that is seen on the socket.
    auto outcome = worker.ask({.kind = MessageKind::ready, .body = {}, .files = {}}, [](auto) {});
    REQUIRE(outcome.ok());
    CHECK(outcome.value() == Worker::Outcome::crashed);
    CHECK(children() == 0);
    outcome = worker.ask({.kind = MessageKind::ready, .body = {}, .files = {}}, [](auto) {});
    REQUIRE(outcome.ok());
    CHECK(worker.restarts() == 1);
  }
  CHECK(children() == 0);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("a host that reaps every child does no harm") {
  struct sigaction action{};
  action.sa_handler = [](int) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  };
  struct sigaction before{};
  REQUIRE(::sigaction(SIGCHLD, &action, &before) == 0);
  for (int round = 0; round < 20; ++round) {
    Worker worker(program());
    auto outcome = worker.ask({.kind = MessageKind::ready, .body = {}, .files = {}}, [](auto) {});
    REQUIRE(outcome.ok());
    CHECK(outcome.value() == Worker::Outcome::crashed);
  }
  CHECK(children() == 0);
  ::sigaction(SIGCHLD, &before, nullptr);
}

TEST_CASE("a worker that is not there is named, with the remedy") {
  Worker worker({.program = "/nowhere/coppice-worker"});
  auto outcome = worker.ask({.kind = MessageKind::ready, .body = {}, .files = {}}, [](auto) {});
  REQUIRE_FALSE(outcome.ok());
  CHECK(outcome.error().code == ErrorCode::no_file);
  CHECK(outcome.error().message.find("/nowhere/coppice-worker") != std::string::npos);
}

TEST_CASE("COPPICE_WORKER names the program") {
  REQUIRE(::setenv("COPPICE_WORKER", COPPICE_WORKER_PROGRAM, 1) == 0);
  Worker worker;
  CHECK(worker.ask({.kind = MessageKind::ready, .body = {}, .files = {}}, [](auto) {}).ok());
  ::unsetenv("COPPICE_WORKER");
}

TEST_CASE("a program that does not speak the protocol is an error, not a hang") {
  Worker worker({.program = "/bin/true", .silence_limit_ms = 2000});
  auto outcome = worker.ask({.kind = MessageKind::ready, .body = {}, .files = {}}, [](auto) {});
  REQUIRE_FALSE(outcome.ok());
  CHECK(outcome.error().code == ErrorCode::io);
}
