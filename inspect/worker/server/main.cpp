// coppice-worker: learns unwind rules and reads debug information, behind walls. Started by
// inspect/worker/worker.cpp.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <map>
#include <optional>

#include "inspect/worker/debug_info/service.hpp"
#include "inspect/worker/server/learn_service.hpp"
#include "inspect/worker/server/sandbox.hpp"
#include "inspect/worker/server/service.hpp"

namespace coppice::inspect::worker {
namespace {

using Services = std::map<MessageKind, Service*>;

int serve_requests(Files& files, const Services& services) {
  Message message;
  while (receive_message(worker_socket, message, -1) == Transfer::complete) {
    BodyReader body(message.body);
    FileId file = 0;
    switch (message.header.kind) {
      case MessageKind::open_file:
        if (!body.get(file) || message.descriptors.size() != 1) return 1;
        files.open(file, std::move(message.descriptors.front()));
        break;
      case MessageKind::close_file:
        if (!body.get(file)) return 1;
        for (const auto& [kind, service] : services) service->forget(file);
        files.close(file);
        break;
      default: {
        const auto service = services.find(message.header.kind);
        if (service == services.end()) return 1;
        Answers answers(worker_socket, message.header.batch, message.header.cpu_limit);
        service->second->serve(body, answers);
        answers.finish();
      }
    }
  }
  return 0;  // the client is gone
}

int run() {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(worker_socket, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    std::fputs("coppice-worker is started by coppice's tools, not by hand\n", stderr);
    return 2;
  }
  Files files;
  std::optional<LearnService> learning;
  DebugLinksService debug_links(files);
  SymbolizeService symbolize(files);
  MessageHeader ready;
  ready.kind = MessageKind::ready;
  BodyWriter reason;
  try {
    learning.emplace(files);
    if (auto failed = enter_sandbox()) reason.put_string(*failed);
  } catch (const std::exception& failed) {
    reason.put_string(failed.what());
  }
  if (send_message(worker_socket, ready, reason.bytes()) != Transfer::complete) return 1;
  if (!reason.bytes().empty()) return 1;
  const Services services{{MessageKind::learn_rules, &*learning},
                          {MessageKind::symbolize, &symbolize},
                          {MessageKind::debug_links, &debug_links}};
  return serve_requests(files, services);
}

}  // namespace
}  // namespace coppice::inspect::worker

int main() {
  return coppice::inspect::worker::run();
}
