#include "tests/tui/made_up_source.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <thread>
#include <utility>

namespace coppice::tui {
namespace {

using inspect::State;

constexpr std::array leaf_functions{"read_request", "write_response", "wait_for_lock",
                                    "std::vector<Order>::sort()"};
constexpr std::array waiting_kinds{"fd", "fd", "lock", "timer"};

inspect::Frame frame(const char* function, std::uint64_t pc, const char* file, std::uint32_t line,
                     bool inlined = false) {
  inspect::Frame f;
  f.function = function;
  f.pc = pc;
  f.module = "/opt/shop/bin/shop";
  f.offset = pc & 0xffff;
  f.file = file;
  f.line = line;
  f.inlined = inlined;
  return f;
}

State state_of(std::size_t i) {
  if (i == 1) return State::running;
  if (i % 10 == 0) return State::unstarted;
  if (i % 11 == 0) return State::finished;
  return State::suspended;
}

inspect::SnapshotGreenlet make_greenlet(std::size_t i, std::size_t round, std::int64_t now) {
  inspect::SnapshotGreenlet entry;
  auto& g = entry.greenlet;
  g.id = std::to_string(i);
  g.address = 0x7f0000000000 + i * 256;
  g.name = i == 1 ? "main" : fmt::format("connection-{}", i);
  g.type = "coppice::Greenlet";
  g.provider = "coppice";
  g.state = state_of(i);
  g.main = i == 1;
  g.tid = 4711;
  if (i > 1) g.spawner = "1";
  if (g.state == State::unstarted) return entry;
  g.switches = 10 * i * round;
  g.last_switch_unix_ns = now - static_cast<std::int64_t>(i) * 1'000'000;
  if (g.state == State::finished) return entry;
  if (g.state == State::suspended) {
    g.waiting = inspect::Waiting{waiting_kinds.at(i % waiting_kinds.size()), i};
    g.slice = {0x7ffe00000000, 0x7ffe00000000 + 512 + i * 16, 0x7f1000000000, 512 + i * 16};
    if (i % 7 == 0) g.slice.saved -= 100;
  }
  const std::size_t kind = i % leaf_functions.size();
  entry.frames.push_back(frame("coppice_switch", 0x401000, "switch_x86_64.S", 40));
  entry.frames.push_back(frame("coppice::Greenlet::switch_to(std::any) const", 0x402000, "greenlet.cpp", 80));
  entry.frames.push_back(frame(leaf_functions.at(kind), 0x403000 + kind, "shop.cpp", 100));
  entry.frames.push_back(frame("Session::serve", 0x404000, "session.cpp", 12, true));
  entry.frames.push_back(frame("handle_connection", 0x404000, "server.cpp", 55));
  entry.end = inspect::End::base;
  if (i % 13 == 0) {
    entry.end = inspect::End::truncated;
    entry.error =
        inspect::Error{inspect::ErrorCode::no_unwind_info, 0x405000, "no unwind information in shop"};
  }
  return entry;
}

}  // namespace

inspect::Result<inspect::Snapshot> MadeUpSource::take(const inspect::SnapshotOptions& options) {
  if (what_.delay.count() > 0) std::this_thread::sleep_for(what_.delay);
  if (what_.fail_after > 0 && taken_ >= what_.fail_after) {
    return inspect::Error{what_.error, 0, "process 4242 has exited"};
  }
  if (what_.throw_after > 0 && taken_ >= what_.throw_after) throw std::runtime_error("made up");
  if (what_.crash_after > 0 && taken_ >= what_.crash_after) {
    volatile int* nowhere = nullptr;
    *nowhere = 1;
  }
  ++taken_;
  inspect::Snapshot snapshot;
  snapshot.target.kind = "live";
  snapshot.target.pid = 4242;
  snapshot.target.executable = "/opt/shop/bin/shop";
  snapshot.target.command_line = "shop --port 80";
  snapshot.providers = {"coppice"};
  snapshot.threads.push_back({4711, 4711, "shop", "1", "1"});
  auto& stats = snapshot.stats;
  stats.taken_unix_ns = 1'700'000'000'000'000'000 + static_cast<std::int64_t>(taken_) * 1'000'000'000;
  stats.bytes_copied = taken_ * 1024 * 1024;
  stats.torn = 2;
  stats.retried = 2;
  for (std::size_t i = 1; i <= what_.greenlets; ++i) {
    snapshot.greenlets.push_back(make_greenlet(i, taken_, stats.taken_unix_ns));
    if (i == 39 && options.choice != inspect::FrameChoice::merged) {
      const bool native = options.choice == inspect::FrameChoice::native;
      snapshot.greenlets.back().frames.back().function = native ? "interpreter_loop" : "handler.py";
    }
    stats.frames += snapshot.greenlets.back().frames.size();
    stats.switches += snapshot.greenlets.back().greenlet.switches;
  }
  inspect::count_states(snapshot);
  return snapshot;
}

}  // namespace coppice::tui
