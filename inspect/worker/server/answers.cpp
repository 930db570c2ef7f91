#include <sys/time.h>

#include "inspect/worker/server/service.hpp"

namespace coppice::inspect::worker {

Answers::Answers(int socket, std::uint16_t batch, std::uint32_t item_cpu_ms)
    : socket_(socket), batch_(batch), item_cpu_ms_(item_cpu_ms) {
  allow_cpu_time();
}

Answers::~Answers() {
  const itimerval off{};
  ::setitimer(ITIMER_PROF, &off, nullptr);
}

void Answers::send(std::span<const std::byte> body) {
  held_back_.put(static_cast<std::uint32_t>(body.size()));
  held_back_.put_bytes(body);
  constexpr std::size_t enough = 1U << 20;
  if (++held_ >= batch_ || held_back_.bytes().size() >= enough) flush();
  allow_cpu_time();
}

void Answers::finish() {
  flush();
  MessageHeader header;
  header.kind = MessageKind::done;
  send_message(socket_, header, {});
}

void Answers::flush() {
  if (held_ == 0) return;
  MessageHeader header;
  header.kind = MessageKind::answer;
  send_message(socket_, header, held_back_.bytes());
  held_back_.clear();
  held_ = 0;
}

// When it is used up SIGPROF comes: see sandbox.cpp.
void Answers::allow_cpu_time() {
  itimerval limit{};
  limit.it_value.tv_sec = item_cpu_ms_ / 1000;
  limit.it_value.tv_usec = static_cast<suseconds_t>(item_cpu_ms_ % 1000) * 1000;
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

}  // namespace coppice::inspect::worker
