// Session over a real process whose reads fail one by one, and over one that has gone.
#include <signal.h>

#include <algorithm>
#include <map>
#include <memory>

#include "inspect/export/json.hpp"
#include "inspect/memory/fakes.hpp"
#include "inspect/snapshot/session.hpp"
#include "tests/snapshot/json_contract.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;
using coppice::inspect::test::Child;

namespace {

/// A target all of whose memory is read through another Memory.
class ThroughMemory final : public Target {
 public:
  explicit ThroughMemory(std::unique_ptr<Target> real) : real_(std::move(real)) {}

  void fail_nth(std::uint64_t nth, bool and_after) {
    memory_ = std::make_unique<FailNth>(real_->memory(), nth, and_after);
  }
  std::uint64_t reads() const { return memory_->reads(); }

  Kind kind() const override { return real_->kind(); }
  pid_t pid() const override { return real_->pid(); }
  std::string executable() const override { return real_->executable(); }
  std::string command_line() const override { return real_->command_line(); }
  const Memory& memory() const override { return *memory_; }
  std::span<const Module> modules() const override { return real_->modules(); }
  std::span<const Mapping> mappings() const override { return real_->mappings(); }
  std::span<const Thread> threads() const override { return real_->threads(); }
  Result<void> refresh() override { return real_->refresh(); }
  Result<ThreadRegisters> registers(pid_t tid, Stopping stopping) const override {
    return real_->registers(tid, stopping);
  }
  Result<ThreadRegisters> hold(pid_t tid, Stopping stopping, const WhileHeld& copy) const override {
    return real_->hold(tid, stopping, copy);
  }
  Result<UniqueFd> open_image(const Module& module) const override { return real_->open_image(module); }
  Result<UniqueFd> open_debug_file(const Module& module, const std::string& id,
                                   const std::string& link) const override {
    return real_->open_debug_file(module, id, link);
  }
  std::span<const std::string> warnings() const override { return real_->warnings(); }

 private:
  std::unique_ptr<Target> real_;
  std::unique_ptr<FailNth> memory_;
};

using Stacks = std::map<std::string, std::vector<Address>>;

Stacks stacks_of(const Snapshot& snapshot) {
  Stacks stacks;
  for (const SnapshotGreenlet& entry : snapshot.greenlets) {
    for (const Frame& frame : entry.frames) stacks[entry.greenlet.id].push_back(frame.pc);
  }
  return stacks;
}

}  // namespace

TEST_CASE("whichever read of a snapshot fails, what is shown is true") {
  const Child child({GLDUMP_SUBJECT, "6"});
  auto opened = open_process(child.pid());
  REQUIRE(opened.ok());
  auto owned = std::make_unique<ThroughMemory>(std::move(opened).value());
  ThroughMemory& target = *owned;
  target.fail_nth(FailNth::kNever, false);
  Session session(std::move(owned));
  SnapshotOptions options;
  options.symbols = false;
  const auto warm = session.take(options);
  REQUIRE(warm.ok());
  target.fail_nth(FailNth::kNever, false);
  const auto whole = session.take(options);
  REQUIRE(whole.ok());
  REQUIRE(whole->stats.incomplete == 0);
  REQUIRE(whole->greenlets.size() == child.at("greenlets"));
  const Stacks truth = stacks_of(*whole);
  const std::uint64_t reads = target.reads();
  REQUIRE(reads > 10);

  std::uint64_t refused = 0, lessened = 0;
  for (const bool and_after : {false, true}) {
    for (std::uint64_t n = 0; n < reads; ++n) {
      target.fail_nth(n, and_after);
      const auto snapshot = session.take(options);
      INFO("read " << n << (and_after ? " and all after" : ""));
      if (!snapshot.ok()) {
        CHECK_FALSE(snapshot.error().message.empty());
        ++refused;
        continue;
      }
      const Stacks stacks = stacks_of(*snapshot);
      for (const SnapshotGreenlet& entry : snapshot->greenlets) {
        const auto shown = stacks.find(entry.greenlet.id);
        const auto right = truth.find(entry.greenlet.id);
        if (shown == stacks.end()) continue;
        REQUIRE(right != truth.end());
        REQUIRE(shown->second.size() <= right->second.size());
        CHECK(std::equal(shown->second.begin(), shown->second.end(), right->second.begin()));
        if (entry.end == End::base) CHECK(shown->second == right->second);
        if (entry.end == End::truncated || entry.end == End::error) CHECK(entry.error.has_value());
      }
      // Something is missing only where that is said.
      const bool less = stacks != truth;
      lessened += less ? 1 : 0;
      if (less) CHECK((snapshot->stats.incomplete > 0 || !snapshot->warnings.empty()));
      const auto document = nlohmann::json::parse(to_json(*snapshot));
      CHECK(contract_violations(document, JsonOf::backtraces) == std::vector<std::string>{});
    }
  }
  CHECK(refused > 0);
  CHECK(lessened > 0);
}

TEST_CASE("a second snapshot learns nothing anew") {
  const Child child({GLDUMP_SUBJECT, "20"});
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  Session session(std::move(target).value());
  REQUIRE(session.take({}).ok());
  const auto learned = session.unwind_stats().rules_learned;
  CHECK(learned > 3);
  const auto second = session.take({});
  REQUIRE(second.ok());
  CHECK(second->stats.frames > 60);
  CHECK(session.unwind_stats().rules_learned == learned);
}

TEST_CASE("only the chosen are walked; the others are there") {
  const Child child({GLDUMP_SUBJECT, "6"});
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  Session session(std::move(target).value());
  SnapshotOptions options;
  options.ids = {"worker-1"};
  const auto snapshot = session.take(options);
  REQUIRE(snapshot.ok());
  CHECK(snapshot->greenlets.size() == child.at("greenlets"));
  for (const SnapshotGreenlet& entry : snapshot->greenlets) {
    CHECK(entry.chosen == (entry.greenlet.name == "worker-1"));
    CHECK(entry.frames.empty() != entry.chosen);
    if (!entry.chosen) CHECK(entry.end == End::unwalked);
  }
}

TEST_CASE("a process that has gone is gone") {
  Child child({GLDUMP_SUBJECT, "6"});
  auto target = open_process(child.pid());
  REQUIRE(target.ok());
  Session session(std::move(target).value());
  REQUIRE(session.take({}).ok());
  child.end_by(SIGKILL);
  const auto snapshot = session.take({});
  REQUIRE_FALSE(snapshot.ok());
  CHECK(snapshot.error().code == ErrorCode::gone);
}
