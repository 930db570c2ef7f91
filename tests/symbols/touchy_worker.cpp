// A worker that fails on demand: what an address does is told by its last hexadecimal digit. For testing the
// Symbolizer's retreats, which real files hardly ever need.
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "inspect/worker/server/service.hpp"
#include "inspect/worker/symbolize_protocol.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::worker;

namespace {

void answer_one(std::uint64_t address, DebugDepth depth, Answers& answers) {
  const bool full = depth == DebugDepth::full;
  const auto kind = address & 0xf;
  switch (kind) {
    case 1:  // crashes on debug information
    case 2:  // crashes on symbols, too
      if (full || kind == 2) std::abort();
      break;
    case 3:  // stalls on debug information
      if (full) {
        MessageHeader stalled;
        stalled.kind = MessageKind::stalled;
        send_message(worker_socket, stalled, {});
        _exit(1);
      }
      break;
    case 4:  // talks nonsense
      answers.send(std::array{std::byte{0xff}, std::byte{0xff}});
      return;
    default:
      break;
  }
  BodyWriter body;
  SymbolizeAnswer answer;
  answer.frames.push_back({full ? "full" : "symbols", {}, 0, false});
  write(body, answer);
  answers.send(body.bytes());
}

}  // namespace

int main() {
  MessageHeader ready;
  ready.kind = MessageKind::ready;
  send_message(worker_socket, ready, {});
  Message message;
  while (receive_message(worker_socket, message, -1) == Transfer::complete) {
    if (message.header.kind == MessageKind::open_file || message.header.kind == MessageKind::close_file)
      continue;
    BodyReader body(message.body);
    Answers answers(worker_socket, message.header.batch, message.header.cpu_limit);
    if (message.header.kind == MessageKind::debug_links) {
      BodyWriter links;
      write(links, DebugLinks{});
      answers.send(links.bytes());
    } else {
      SymbolizeRequest request;
      if (!read(body, request)) return 1;
      for (const auto address : request.addresses) answer_one(address, request.depth, answers);
    }
    answers.finish();
  }
}
