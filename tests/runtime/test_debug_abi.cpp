// The debug ABI, read from outside: every field, every state; and under fire, no torn reading is ever taken
// for a whole one.
#include <dlfcn.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <coppice/greenlet.hpp>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "outside_reader.hpp"
#include "tests/support/catch.hpp"

using coppice::current;
using coppice::Greenlet;
using coppice::spawn;

namespace {

std::uint64_t table_address() {
  return reinterpret_cast<std::uint64_t>(&coppice_debug_table);
}

std::map<std::uint64_t, OutsideGreenlet> all_greenlets(const OutsideReader& reader) {
  std::map<std::uint64_t, OutsideGreenlet> result;
  const auto table = reader.table();
  REQUIRE(table);
  for (const std::uint64_t slot : reader.slots(table->greenlets)) {
    auto g = reader.greenlet(*table, slot);
    REQUIRE(g);  // nothing switches meanwhile
    if (g->state != COPPICE_STATE_FREE) result.emplace(slot, *std::move(g));
  }
  return result;
}

const OutsideGreenlet& by_handle(const std::map<std::uint64_t, OutsideGreenlet>& all, const Greenlet& g) {
  const auto found = all.find(reinterpret_cast<std::uint64_t>(g.get()));
  REQUIRE(found != all.end());
  REQUIRE(found->second.id == g.id());
  return found->second;
}

}  // namespace

TEST_CASE("the table says what it is") {
  const Greenlet main = current();
  const auto table = OutsideReader(getpid(), table_address()).table();
  REQUIRE(table);
  CHECK(table->magic == COPPICE_DEBUG_MAGIC);
  CHECK(std::memcmp(&table->magic, "COPPICE1", 8) == 0);
  CHECK(table->abi_version == COPPICE_DEBUG_ABI_VERSION);
  CHECK(table->table_size == sizeof(DebugTable));
  CHECK(table->machine == 62);
  CHECK(table->event_size == 32);
  CHECK(table->entry_start < table->entry_end);
  CHECK(table->resume_pc != 0);
  CHECK(table->greenlets.slots_per_chunk > 0);
  CHECK(table->greenlets.chunk_count > 0);
  CHECK(table->clock_start.ticks != 0);
  CHECK(table->clock_recent.ticks >= table->clock_start.ticks);
  CHECK(table->clock_version % 2 == 0);
  CHECK(table->runtime_version == 1u << 16);
}

TEST_CASE("every state and field, seen from outside") {
  const OutsideReader reader(getpid(), table_address());
  const Greenlet main = current();
  const Greenlet unstarted = spawn([] {}, "not yet");
  Greenlet suspended = spawn(
      [&] {
        const coppice::WaitingOn waiting("fd", 7);
        main.switch_to();
      },
      "waits");
  const Greenlet finished = spawn([] {});
  finished.switch_to();
  suspended.switch_to();
  Greenlet orphaned;
  std::thread([&] {
    const Greenlet thread_main = current();
    orphaned = spawn([&] { thread_main.switch_to(); });
    orphaned.switch_to();
  }).join();

  const auto all = all_greenlets(reader);
  const auto& u = by_handle(all, unstarted);
  CHECK(u.state == COPPICE_STATE_UNSTARTED);
  CHECK(reader.text(u.name) == "not yet");
  CHECK(u.parent == reinterpret_cast<std::uint64_t>(main.get()));
  CHECK(u.spawner == main.id());
  CHECK(u.spawn_pc != 0);
  CHECK(u.switches == 0);

  const auto& m = by_handle(all, main);
  CHECK(m.state == COPPICE_STATE_RUNNING);
  CHECK(m.flags == COPPICE_FLAG_MAIN);
  CHECK(m.stop == UINT64_MAX);
  CHECK(m.parent == 0);

  const auto& s = by_handle(all, suspended);
  CHECK(s.state == COPPICE_STATE_SUSPENDED);
  CHECK(s.flags == 0);
  CHECK(reader.text(s.name) == "waits");
  CHECK(reader.text(s.waiting_kind) == "fd");
  CHECK(s.waiting_value == 7);
  CHECK(s.switches == 1);
  CHECK(s.saved == s.stop - s.start);  // main runs, so it is wholly in the heap
  CHECK(s.bytes_saved == s.saved);
  CHECK(s.bytes_restored == 0);
  CHECK(s.last_switch > 0);
  CHECK(s.thread == m.thread);
  CHECK(s.stack.size() == s.saved);

  const auto& f = by_handle(all, finished);
  CHECK(f.state == COPPICE_STATE_FINISHED);
  CHECK(f.saved == 0);

  const auto& o = by_handle(all, orphaned);
  CHECK(o.state == COPPICE_STATE_ORPHANED);
  CHECK(o.thread == 0);
  CHECK(o.saved == o.stop - o.start);
  CHECK_FALSE(o.stack.empty());

  const auto table = reader.table();
  int threads = 0;
  for (const std::uint64_t slot : reader.slots(table->threads)) {
    auto word = [&](std::uint16_t offset) {
      std::uint64_t value = 0;
      REQUIRE(reader.read(slot + offset, &value, sizeof value));
      return value;
    };
    const auto& at = table->thread;
    if (static_cast<std::uint32_t>(word(at.tid)) == 0) continue;
    ++threads;
    CHECK(slot == m.thread);
    CHECK(word(at.version) % 2 == 0);
    CHECK(static_cast<pid_t>(word(at.tid)) == gettid());
    CHECK(word(at.current) == reinterpret_cast<std::uint64_t>(main.get()));
    CHECK(word(at.main) == word(at.current));
    char here = 0;
    CHECK(word(at.stack_low) < reinterpret_cast<std::uint64_t>(&here));
    CHECK(word(at.stack_high) > reinterpret_cast<std::uint64_t>(&here));
    CHECK(word(at.switches) > 0);
    CHECK(word(at.bytes_copied) > 0);
  }
  CHECK(threads == 1);
}

TEST_CASE("the resume context lies inside the slice, at distinct places, and leads back into the program") {
  const Greenlet main = current();
  Greenlet g = spawn([&] { main.switch_to(); });
  g.switch_to();
  const OutsideReader reader(getpid(), table_address());
  const auto table = reader.table();
  REQUIRE(table);
  const auto seen = reader.greenlet(*table, reinterpret_cast<std::uint64_t>(g.get()));
  REQUIRE(seen);
  std::set<int> places;
  for (const int dwarf_register : {3, 6, 12, 13, 14, 15, 16}) {  // rbx, rbp, r12-r15, return address
    const int slot = table->resume_slot[dwarf_register];
    REQUIRE(slot >= 0);
    REQUIRE(static_cast<std::size_t>(slot) + 8 <= seen->stack.size());
    places.insert(slot);
  }
  CHECK(places.size() == 7);
  CHECK(table->resume_slot[7] == -1);  // rsp is `start`
  std::uint64_t return_address = 0;
  std::memcpy(&return_address, seen->stack.data() + table->resume_slot[16], sizeof return_address);
  Dl_info found{};
  REQUIRE(dladdr(reinterpret_cast<void*>(return_address), &found) != 0);
  Dl_info own{};
  REQUIRE(dladdr(&coppice_debug_table, &own) != 0);
  CHECK(found.dli_fbase == own.dli_fbase);
}

namespace {

std::uint64_t mixed(std::uint64_t id, std::uint64_t round, std::uint64_t n) {
  return (id * 0x9e37'79b9'7f4a'7c15 + round * 0xff51'afd7'ed55'8ccd + n) * 0xc4ce'b9fe'1a85'ec53;
}

/// What every greenlet of the stress keeps on its stack while it sleeps: words that only fit together. It
/// says where by waiting_on, as older ones may shine through the gaps between variables.
struct Pattern {
  std::uint64_t id, round, count;
  std::uint64_t words[];
};

/// Whether the stack holds the greenlet's whole pattern.
bool consistent(const OutsideGreenlet& g) {
  const std::uint64_t at = g.waiting_value - g.start;
  if (g.waiting_kind == 0 || at >= g.stack.size() || g.stack.size() - at < sizeof(Pattern)) return false;
  std::vector<std::uint64_t> words((g.stack.size() - at) / 8);
  std::memcpy(words.data(), g.stack.data() + at, words.size() * 8);
  constexpr std::size_t header = sizeof(Pattern) / 8;
  if (words[0] != g.id || words[2] == 0 || words[2] > words.size() - header) return false;
  for (std::uint64_t n = 0; n < words[2]; ++n) {
    if (words[header + n] != mixed(g.id, words[1], n)) return false;
  }
  return true;
}

/// Never returns: greenlets that switch at random, come and go, and start one another at all depths.
[[noreturn]] void switch_like_mad(std::uint32_t seed) {
  static std::mt19937 random(seed);
  static std::vector<Greenlet> all(48);
  static const Greenlet main = current();
  struct Sleeper {
    static void sleep(std::uint64_t round) {
      const std::uint64_t count = 1 + random() % 400;
      auto* pattern = static_cast<Pattern*>(__builtin_alloca(sizeof(Pattern) + count * 8));
      const std::uint64_t id = current().id();
      for (std::uint64_t n = 0; n < count; ++n) pattern->words[n] = mixed(id, round, n);
      pattern->round = round;
      pattern->count = count;
      pattern->id = id;
      asm volatile("" : : "r"(pattern) : "memory");
      const coppice::WaitingOn here("pattern", reinterpret_cast<std::uint64_t>(pattern));
      go();
    }
    static void go() {
      Greenlet& next = all[random() % all.size()];
      if (!next || next.finished()) next = spawn(run);
      if (next.is_current() || random() % 8 == 0) {
        main.switch_to();
      } else {
        const Greenlet hold = next;
        hold.switch_to();
      }
    }
    static void run() {
      const std::uint64_t rounds = random() % 300;
      for (std::uint64_t round = 0; round < rounds; ++round) sleep(round);
    }
  };
  for (;;) Sleeper::go();
}

/// A process that switches like mad until this is destroyed.
class Fire {
 public:
  explicit Fire(std::uint32_t seed) : pid_(fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    switch_like_mad(seed);
  }
  ~Fire() { put_out(); }
  Fire(const Fire&) = delete;
  Fire& operator=(const Fire&) = delete;

  pid_t pid() const { return pid_; }
  /// Kills it. The signal it died of: another one had it not lived until now.
  int put_out() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, &status_, 0);
      pid_ = 0;
    }
    return WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
  }

 private:
  pid_t pid_;
  int status_ = 0;
};

}  // namespace

TEST_CASE("under fire: every accepted slice is whole, and torn ones are noticed") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  Fire fire(seed);
  const OutsideReader reader(fire.pid(), table_address());
  std::uint64_t accepted = 0;
  std::uint64_t partly = 0;
  std::uint64_t torn = 0;
  std::uint64_t torn_nonsense = 0;
  std::uint64_t wrong = 0;
  // Counted, not timed, so that a slow build does as much as it must and no more.
  for (int pass = 0; pass < 100'000 && (accepted < 20'000 || torn_nonsense < 20); ++pass) {
    const auto table = reader.table();
    REQUIRE(table);
    for (const std::uint64_t slot : reader.slots(table->greenlets)) {
      OutsideGreenlet broken{};
      const auto g = reader.greenlet(*table, slot, &broken);
      if (!g) {
        ++torn;
        if (broken.has_stack() && !consistent(broken)) ++torn_nonsense;
        continue;
      }
      if (!g->has_stack() || (g->flags & COPPICE_FLAG_MAIN) != 0) continue;
      ++accepted;
      if (g->saved < g->stop - g->start) ++partly;
      if (!consistent(*g)) ++wrong;
    }
  }
  CHECK(fire.put_out() == SIGKILL);  // it had not crashed before
  WARN("accepted " << accepted << " (partly saved " << partly << "), torn " << torn
                   << " (of these inconsistent " << torn_nonsense << "), seed " << seed);
  CHECK(wrong == 0);
  CHECK(accepted >= 20'000);
  CHECK(torn > 0);
  CHECK(torn_nonsense > 0);  // so the check can tell
}
