// The provider for CPython on a real process, live and as a core: Debian's python3 with its greenlet
// extension.
#include <signal.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "inspect/snapshot/session.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/child.hpp"
#include "tests/target/core_maker.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::test;

namespace {

using Report = std::map<std::string, std::uint64_t>;

/// A snapshot, by the names the program has for its greenlets.
class Seen {
 public:
  Seen(const Snapshot& snapshot, const Report& report) : report_(report) {
    for (const SnapshotGreenlet& entry : snapshot.greenlets) {
      CHECK(by_id_.emplace(entry.greenlet.id, &entry).second);
    }
    for (const auto& [name, value] : report) {
      if (name.starts_with("id.")) ++reported_;
    }
  }

  const SnapshotGreenlet& operator[](const std::string& name) const {
    INFO(name);
    const auto found = by_id_.find(fmt::format("{:#x}", report_.at("id." + name)));
    REQUIRE(found != by_id_.end());
    return *found->second;
  }
  pid_t tid(const std::string& name) const { return static_cast<pid_t>(report_.at("tid." + name)); }
  std::size_t count() const { return by_id_.size(); }
  std::size_t reported() const { return reported_; }
  const Report& report() const { return report_; }

 private:
  const Report& report_;
  std::map<std::string, const SnapshotGreenlet*> by_id_;
  std::size_t reported_ = 0;
};

bool has_frame(const SnapshotGreenlet& entry, std::string_view part) {
  return std::ranges::any_of(
      entry.frames, [&](const Frame& frame) { return frame.function.find(part) != std::string_view::npos; });
}

Snapshot take(std::unique_ptr<Target> target, Stopping stopping = Stopping::allowed) {
  Session session(std::move(target));
  SnapshotOptions options;
  options.stopping = stopping;
  options.choice = FrameChoice::native;
  auto snapshot = session.take(options);
  INFO((snapshot.ok() ? "" : snapshot.error().message));
  REQUIRE(snapshot.ok());
  return std::move(*snapshot);
}

/// What is true of the program however it is looked at.
void check_all(const Seen& seen) {
  CHECK(seen.count() == seen.reported());
  const std::map<std::string, State> states{
      {"plain", State::suspended},          {"derived", State::suspended},
      {"from_c", State::suspended},         {"starter", State::suspended},
      {"nested", State::suspended},         {"orphaned", State::orphaned},
      {"finished", State::finished},        {"unstarted", State::unstarted},
      {"exited_main", State::finished},     {"thread_main", State::suspended},
      {"thread_sleeper", State::suspended}, {"thread_runner", State::running},
      {"silent_main", State::running}};
  for (const auto& [name, state] : states) {
    INFO(name);
    const SnapshotGreenlet& entry = seen[name];
    const Greenlet& greenlet = entry.greenlet;
    CHECK((greenlet.state == state));
    CHECK(greenlet.main == (name.find("main") != std::string::npos));
    CHECK(greenlet.provider == "cpython");
    CHECK(greenlet.type == (name == "derived" ? "Derived" : "greenlet.greenlet"));
    const std::uint64_t parent = seen.report().at("parent." + name);
    CHECK(greenlet.parent.value_or("0x0") == fmt::format("{:#x}", parent));
    if (state != State::suspended && state != State::orphaned) continue;
    CHECK(greenlet.slice.saved == seen.report().at("saved." + name));
    INFO((entry.error ? entry.error->message : std::string("no error")));
    CHECK(entry.end == End::base);
    CHECK_FALSE(entry.error);
    CHECK(entry.frames.size() > 4);
    CHECK(has_frame(entry, "g_switchstack"));
    CHECK(has_frame(entry, "_PyEval_EvalFrameDefault"));
  }
  CHECK(std::ranges::count_if(seen["from_c"].frames, [](const Frame& frame) {
          return frame.function == "_PyEval_EvalFrameDefault";
        }) == 2);
  CHECK_FALSE(has_frame(seen["from_c"], "Py_BytesMain"));
  CHECK(seen["thread_main"].frames.back().module.find("libc.so") != std::string_view::npos);
  for (const char* name : {"plain", "nested", "unstarted", "main"}) {
    INFO(name);
    CHECK(seen[name].greenlet.tid == seen.tid("main"));
  }
  for (const char* name : {"thread_main", "thread_sleeper", "thread_runner"}) {
    INFO(name);
    CHECK(seen[name].greenlet.tid == seen.tid("thread"));
  }
  CHECK(seen["silent_main"].greenlet.tid == seen.tid("silent"));
  CHECK_FALSE(seen["orphaned"].greenlet.tid);
  CHECK_FALSE(seen["exited_main"].greenlet.tid);
}

std::unique_ptr<Target> live(const Child& child) {
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  return std::move(*target);
}

}  // namespace

TEST_CASE("every greenlet of a sleeping process is seen as it is") {
  const Child child({PYTHON, PARKED_PY});
  REQUIRE(child.has("id.plain"));
  for (const Stopping stopping : {Stopping::allowed, Stopping::never}) {
    const Snapshot snapshot = take(live(child), stopping);
    const Seen seen(snapshot, child.report());
    check_all(seen);
    CHECK(seen["main"].greenlet.state == State::running);
    for (const char* name : {"main", "thread_runner", "silent_main"}) {
      INFO(name);
      CHECK(seen[name].end == End::base);
      CHECK(has_frame(seen[name], "clock_nanosleep"));
    }
    CHECK(has_frame(seen["main"], "Py_BytesMain"));
    CHECK(snapshot.stats.torn == 0);
    CHECK(snapshot.warnings.empty());
  }
}

TEST_CASE("a process that switches all the time is read, without a torn greenlet among those that sleep") {
  const Child child({PYTHON, PARKED_PY, "switch"});
  REQUIRE(child.has("id.ping"));
  for (int i = 0; i < 10; ++i) {
    const Snapshot snapshot = take(live(child), i % 2 == 0 ? Stopping::allowed : Stopping::never);
    check_all(Seen(snapshot, child.report()));
  }
}

TEST_CASE("a core shows what the live process showed") {
  const CoreFile core = gcore_core({PYTHON, PARKED_PY});
  REQUIRE(core.exists());
  auto target = open_core(core.path());
  REQUIRE(target.ok());
  const Snapshot snapshot = take(std::move(*target));
  const Seen seen(snapshot, core.report());
  check_all(seen);
  CHECK(seen["main"].greenlet.state == State::running);
  CHECK(has_frame(seen["main"], "Py_BytesMain"));
}
