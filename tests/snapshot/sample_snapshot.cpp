#include "sample_snapshot.hpp"

namespace coppice::inspect::testing {
namespace {

Frame frame(Address pc, Address sp, const char* function, const char* file = "", std::uint32_t line = 0) {
  Frame made;
  made.pc = pc;
  made.sp = sp;
  made.module = "/opt/demo/bin/server";
  made.build_id = "0123456789abcdef0123456789abcdef01234567";
  made.offset = pc - 0x555555554000;
  made.function = function;
  made.file = file;
  made.line = line;
  return made;
}

SnapshotGreenlet greenlet(const char* id, State state) {
  SnapshotGreenlet made;
  made.greenlet.id = id;
  made.greenlet.address = 0x7f1000000000 + 0x100 * static_cast<Address>(id[0] - '0');
  made.greenlet.type = "coppice::Greenlet";
  made.greenlet.provider = "coppice";
  made.greenlet.state = state;
  made.greenlet.tid = 4242;
  made.greenlet.nstid = 17;
  made.greenlet.parent = "1";
  made.greenlet.spawner = "1";
  made.greenlet.spawn_pc = 0x555555556789;
  return made;
}

SnapshotGreenlet sleeper(const char* id, std::uint64_t saved) {
  SnapshotGreenlet made = greenlet(id, State::suspended);
  made.greenlet.slice = {0x7ffd00001000, 0x7ffd00001800, 0x555555600000, saved};
  made.greenlet.waiting = Waiting{"fd", 5};
  made.greenlet.switches = 12;
  made.greenlet.bytes_saved = 4096;
  made.greenlet.bytes_restored = 2048;
  made.greenlet.last_switch_unix_ns = 1'700'000'000'123'456'789;
  made.frames = {frame(0x555555556000, 0x7ffd00001000, "coppice_switch"),
                 frame(0x555555556a10, 0x7ffd00001040, "next_byte", "/src/demo/reader.hpp", 31),
                 frame(0x555555556a10, 0x7ffd00001040, "read_line(Connection&)", "/src/demo/server.cpp", 88),
                 frame(0x555555556b20, 0x7ffd00001200, "")};
  made.frames[1].inlined = true;
  made.end = End::base;
  return made;
}

}  // namespace

Snapshot sample_snapshot() {
  Snapshot made;
  made.target = {"live", 4242, "/opt/demo/bin/server", "./server --port 80", ""};
  made.threads = {{4242, 17, "server", "1", "1"}, {4243, std::nullopt, "", std::nullopt, std::nullopt}};

  SnapshotGreenlet main = greenlet("1", State::running);
  main.greenlet.main = true;
  main.greenlet.parent.reset();
  main.greenlet.spawner.reset();
  main.greenlet.spawn_pc = 0;
  main.greenlet.slice.stop = 0x7ffd00010000;
  main.error = Error{ErrorCode::not_stopped, 0, "it runs on a CPU and was not to be stopped"};

  SnapshotGreenlet hostile = greenlet("2", State::unstarted);
  hostile.greenlet.name = "bad\x1b[2Jname\xff\"quoted\"";

  SnapshotGreenlet cut = sleeper("6", 0x800);
  cut.greenlet.name = "cut";
  cut.frames.resize(1);
  cut.end = End::truncated;
  cut.error = Error{ErrorCode::no_unwind_info, 0x7f5500001234, "no unwind info in libjit.so"};

  SnapshotGreenlet torn = greenlet("7", State::suspended);
  torn.end = End::error;
  torn.error = Error{ErrorCode::torn, 0x7f1000000700, "changed while it was read, 5 times"};

  SnapshotGreenlet orphan = sleeper("8", 0x800);
  orphan.greenlet.state = State::orphaned;
  orphan.greenlet.tid.reset();
  orphan.greenlet.nstid.reset();
  orphan.greenlet.waiting.reset();
  orphan.frames[0].signal_trampoline = true;
  orphan.frames[3] = Frame{};
  orphan.frames[3].pc = 0xdead;

  made.greenlets = {hostile,
                    greenlet("3", State::finished),
                    sleeper("4", 0x600),
                    sleeper("5", 0),
                    std::move(cut),
                    std::move(torn),
                    std::move(orphan),
                    std::move(main)};
  SnapshotStats& stats = made.stats;
  stats.greenlets = 8;
  stats.unstarted = stats.finished = stats.running = stats.orphaned = 1;
  stats.suspended = 4;
  stats.frames = 13;
  stats.torn = 6;
  stats.retried = 5;
  stats.lost = 1;
  stats.switches = 1234;
  stats.bytes_copied = 567890;
  stats.incomplete = 2;
  stats.taken_unix_ns = 1'700'000'001'000'000'000;
  stats.read_ns = 1000;
  stats.unwind_ns = 2000;
  stats.symbolize_ns = 3000;
  made.warnings = {"no file for libjit.so"};
  return made;
}

Snapshot snapshot_with_locals() {
  Snapshot made;
  made.target.kind = "live";
  SnapshotGreenlet& entry = made.greenlets.emplace_back(greenlet("4", State::suspended));
  entry.greenlet.slice = {0x7ffd00001000, 0x7ffd00001800, 0x555555600000, 0x800};
  entry.end = End::base;
  Frame known;
  known.kind = Frame::Kind::python;
  known.function = "pay";
  known.file = "shop.py";
  known.line = 46;
  Frame unknown = known;
  unknown.function = "serve";
  known.locals = std::make_shared<const PythonLocals>(
      PythonLocals{{{"amount", "12"}, {"note", "'\x1b[2J'"}}, 3, std::nullopt});
  unknown.locals = std::make_shared<const PythonLocals>(
      PythonLocals{{}, 0, Error{ErrorCode::torn, 0x7f1000, "the function returned"}});
  entry.frames = {known, unknown};
  entry.origin = Origin{"Shop.serve", "1, name='x'", 7, {known}};
  count_states(made);
  return made;
}

}  // namespace coppice::inspect::testing
