// The recorder: what is in a ring, in memory and in a file, and what remains of it after SIGKILL.
#include <coppice/debug_abi.h>
#include <coppice/recorder.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <coppice/greenlet.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

using coppice::current;
using coppice::Greenlet;
using coppice::spawn;

namespace {

struct Event {
  std::uint64_t number;
  unsigned type;
  std::uint64_t greenlet, address, ticks;
  std::uint32_t bytes;
};

/// All whole events of a ring, oldest first; `broken` counts the others.
std::vector<Event> read_ring(const coppice_event* events, std::uint64_t capacity, std::uint64_t written,
                             int& broken) {
  std::vector<Event> result;
  for (std::uint64_t n = written > capacity ? written - capacity : 0; n < written; ++n) {
    const coppice_event& each = events[n % capacity];
    if (each.sequence != static_cast<std::uint32_t>(n)) {
      ++broken;
      continue;
    }
    result.push_back({n, static_cast<unsigned>(each.type_address >> 56), each.greenlet,
                      each.type_address & 0x00ff'ffff'ffff'ffff, each.ticks, each.bytes});
  }
  return result;
}

/// This thread's ring, found through the debug table as a reader outside would.
std::vector<Event> own_ring() {
  const auto& pool = coppice_debug_table.threads;
  const auto& layout = coppice_debug_table.thread;
  const auto* chunks = reinterpret_cast<const std::uint64_t*>(pool.chunks);
  for (std::uint64_t c = 0; c < pool.chunk_count; ++c) {
    for (std::uint32_t s = 0; s < pool.slots_per_chunk; ++s) {
      const auto* slot = reinterpret_cast<const char*>(chunks[c]) + std::size_t{s} * pool.slot_size;
      auto word = [&](std::uint16_t offset) {
        std::uint64_t value = 0;
        std::memcpy(&value, slot + offset, sizeof value);
        return value;
      };
      if (static_cast<std::uint32_t>(word(layout.tid)) != static_cast<std::uint32_t>(gettid())) continue;
      if (word(layout.ring) == 0) return {};
      int broken = 0;
      auto events = read_ring(reinterpret_cast<const coppice_event*>(word(layout.ring)),
                              word(layout.ring_capacity), word(layout.ring_written), broken);
      CHECK(broken == 0);
      return events;
    }
  }
  FAIL("this thread has no slot");
  return {};
}

std::string temporary_path(const char* name) {
  return "/tmp/coppice-test-" + std::to_string(getpid()) + "-" + name;
}

struct RecorderFile {
  coppice_recorder_file header{};
  struct Ring {
    coppice_recorder_ring header{};
    std::vector<Event> events;
    int broken = 0;
  };
  std::vector<Ring> rings;
};

RecorderFile read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  RecorderFile file;
  REQUIRE(bytes.size() >= sizeof file.header);
  std::memcpy(&file.header, bytes.data(), sizeof file.header);
  REQUIRE(file.header.magic == COPPICE_RECORDER_MAGIC);
  REQUIRE(file.header.version == COPPICE_RECORDER_VERSION);
  REQUIRE(file.header.event_size == sizeof(coppice_event));
  for (std::uint64_t n = 0; n < file.header.ring_count; ++n) {
    const std::uint64_t at = file.header.first_ring + n * file.header.ring_size;
    REQUIRE(at + file.header.ring_size <= bytes.size());
    RecorderFile::Ring ring;
    std::memcpy(&ring.header, bytes.data() + at, sizeof ring.header);
    std::vector<coppice_event> events(ring.header.capacity);
    std::memcpy(events.data(), bytes.data() + at + file.header.ring_header_size,
                events.size() * sizeof events[0]);
    ring.events = read_ring(events.data(), ring.header.capacity, ring.header.written, ring.broken);
    file.rings.push_back(std::move(ring));
  }
  return file;
}

/// Forks; the child must not return.
template <class Child>
pid_t fork_child(Child child) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    child();
    _exit(0);
  }
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return status;
}

}  // namespace

TEST_CASE("one of each event: spawn, switch, save, restore, throw, return") {
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr) == 0);
  const Greenlet main = current();
  const Greenlet g = spawn([&] { main.switch_to(); });
  g.switch_to();
  g.kill();
  std::vector<Event> events = own_ring();
  REQUIRE(events.size() >= 8);
  auto first = [&](unsigned type, std::uint64_t id) {
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (events[i].type == type && events[i].greenlet == id) return i;
    }
    return events.size();
  };
  const std::size_t spawned = first(COPPICE_EVENT_SPAWN, g.id());
  const std::size_t switched = first(COPPICE_EVENT_SWITCH, g.id());
  const std::size_t saved = first(COPPICE_EVENT_SAVE, g.id());
  const std::size_t thrown = first(COPPICE_EVENT_THROW, g.id());
  const std::size_t restored = first(COPPICE_EVENT_RESTORE, g.id());
  const std::size_t returned = first(COPPICE_EVENT_RETURN, g.id());
  CHECK(spawned < switched);
  CHECK(switched < saved);
  CHECK(saved < thrown);
  CHECK(thrown < restored);
  CHECK(restored < returned);
  REQUIRE(returned < events.size());
  CHECK(events[saved].bytes == events[restored].bytes);
  CHECK(events[saved].bytes > 0);
  CHECK(events[saved].address == events[restored].address);
  CHECK(events.back().type == COPPICE_EVENT_SWITCH);
  CHECK(events.back().greenlet == main.id());
  for (std::size_t i = 1; i < events.size(); ++i) CHECK(events[i - 1].ticks <= events[i].ticks);
}

TEST_CASE("a full ring keeps the newest events and the count of all") {
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr) == 0);
  const Greenlet main = current();
  const Greenlet g = spawn([&] {
    for (;;) main.switch_to();
  });
  for (int i = 0; i < 5000; ++i) g.switch_to();
  const std::vector<Event> events = own_ring();
  REQUIRE(events.size() == 4096);
  CHECK(events.front().number > 10'000);  // lost, and known to be
  CHECK(events.back().number == events.front().number + 4095);
}

TEST_CASE("off means no ring, and switching goes on") {
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_OFF, nullptr) == 0);
  spawn([] {}).switch_to();
  CHECK(own_ring().empty());
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr) == 0);
  spawn([] {}).switch_to();
  CHECK_FALSE(own_ring().empty());
}

TEST_CASE("other threads follow a change of mode at their next switch") {
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr) == 0);
  std::atomic<int> step = 0;
  std::thread thread([&] {
    spawn([] {}).switch_to();
    CHECK_FALSE(own_ring().empty());
    step = 1;
    while (step != 2) std::this_thread::yield();
    spawn([] {}).switch_to();
    CHECK(own_ring().empty());
  });
  while (step != 1) std::this_thread::yield();
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_OFF, nullptr) == 0);
  step = 2;
  thread.join();
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr) == 0);
}

TEST_CASE("a mapped file outlives SIGKILL, with every thread's events whole") {
  const std::string path = temporary_path("killed");
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t child = fork_child([&] {
    if (coppice_recorder_set(COPPICE_RECORDER_FILE, path.c_str()) != 0) _exit(1);
    auto work = [&] {
      const Greenlet main = current();
      const Greenlet g = spawn([&] {
        for (;;) main.switch_to();
      });
      for (int i = 0;; ++i) {
        g.switch_to();
        if (i == 3000 && write(ready[1], "r", 1) != 1) _exit(2);
      }
    };
    std::thread first(work);
    std::thread second(work);
    first.join();
    second.join();
  });
  char byte = 0;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  REQUIRE(read(ready[0], &byte, 1) == 1);
  kill(child, SIGKILL);
  CHECK(WIFSIGNALED(wait_for(child)));
  close(ready[0]);
  close(ready[1]);

  const RecorderFile file = read_file(path);
  unlink(path.c_str());
  CHECK(file.header.pid == static_cast<std::uint64_t>(child));
  CHECK(file.header.clock_start.unix_ns > 1'600'000'000'000'000'000);
  int busy = 0;
  for (const auto& ring : file.rings) {
    CHECK(ring.header.ended == 0);
    if (ring.header.written == 0) continue;
    ++busy;
    CHECK(ring.header.written > 9000);
    CHECK(ring.broken <= 1);  // the one being written over when the process died
    CHECK(ring.events.size() + static_cast<std::size_t>(ring.broken) == ring.header.capacity);
    std::map<unsigned, int> types;
    for (const Event& event : ring.events) ++types[event.type];
    CHECK(types[COPPICE_EVENT_SWITCH] > 1000);
    CHECK(types[COPPICE_EVENT_SAVE] > 1000);
    CHECK(types[COPPICE_EVENT_RESTORE] > 1000);
    CHECK(types.size() == 3);
  }
  CHECK(busy == 2);
}

TEST_CASE("child: switches once, by whatever COPPICE_RECORDER says", "[.]") {
  spawn([] {}).switch_to();
  CHECK((own_ring().empty() ? 0 : 1) == std::atoi(std::getenv("COPPICE_TEST_RINGS")));
}

TEST_CASE("the environment chooses the mode") {
  const std::string path = temporary_path("environment");
  struct Expected {
    std::string value;
    const char* rings;
  };
  for (const Expected& expected :
       {Expected{"off", "0"}, Expected{"memory", "1"}, Expected{"file:" + path, "1"},
        Expected{"nonsense", "1"}, Expected{"file:/nonexistent/file", "1"}}) {
    CAPTURE(expected.value);
    const int status = wait_for(fork_child([&] {
      setenv("COPPICE_RECORDER", expected.value.c_str(), 1);
      setenv("COPPICE_TEST_RINGS", expected.rings, 1);
      const int null = open("/dev/null", O_WRONLY);
      dup2(null, STDOUT_FILENO);
      dup2(null, STDERR_FILENO);
      execl("/proc/self/exe", "test", "child*", nullptr);
      _exit(9);
    }));
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  const RecorderFile file = read_file(path);
  unlink(path.c_str());
  REQUIRE(file.rings.size() == 1);
  CHECK_FALSE(file.rings[0].events.empty());
}

TEST_CASE("a file that cannot be made is an error, and recording goes on as before") {
  CHECK(coppice_recorder_set(COPPICE_RECORDER_FILE, nullptr) == EINVAL);
  CHECK(coppice_recorder_set(COPPICE_RECORDER_FILE, "") == EINVAL);
  CHECK(coppice_recorder_set(COPPICE_RECORDER_FILE, "/nonexistent/file") == ENOENT);
  CHECK(coppice_recorder_set(static_cast<coppice_recorder_mode>(3), nullptr) == EINVAL);
  spawn([] {}).switch_to();
  CHECK_FALSE(own_ring().empty());
}

TEST_CASE("a full disk: the file's error, or a thread's ring in memory and a count; never SIGBUS") {
  // A limit on the file size stands for the full disk: fallocate fails the same way.
  const std::string path = temporary_path("full");
  const pid_t child = fork_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 1024;
    setrlimit(RLIMIT_FSIZE, &limit);
    if (coppice_recorder_set(COPPICE_RECORDER_FILE, path.c_str()) != EFBIG) _exit(1);
    limit.rlim_cur = 16384;  // the header, but no ring
    setrlimit(RLIMIT_FSIZE, &limit);
    if (coppice_recorder_set(COPPICE_RECORDER_FILE, path.c_str()) != 0) _exit(2);
    spawn([] {}).switch_to();
    _exit(own_ring().empty() ? 3 : 0);
  });
  const int status = wait_for(child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  const RecorderFile file = read_file(path);
  unlink(path.c_str());
  CHECK(file.rings.empty());
  CHECK(file.header.rings_refused >= 1);
}

TEST_CASE("many threads, one after another, share the rings of a file") {
  const std::string path = temporary_path("many-%p");
  const std::string real = temporary_path("many-") + std::to_string(getpid());
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_FILE, path.c_str()) == 0);
  for (int i = 0; i < 100; ++i) {
    std::thread([] { spawn([] {}).switch_to(); }).join();
  }
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr) == 0);
  const RecorderFile file = read_file(real);
  unlink(real.c_str());
  CHECK(file.rings.size() == COPPICE_RECORDER_MANY_RINGS);
  for (const auto& ring : file.rings) {
    CHECK(ring.header.ended == 1);
    CHECK(ring.broken == 0);
  }
}

#if !defined(COPPICE_SANITIZE_THREAD)
// ThreadSanitizer counts a greenlet as a thread. In the child of a process with several it does not look at
// what the thread that forked does, so that anything else races with it, and ends the child at its first new
// thread.
TEST_CASE("after fork the child leaves the parent's file alone and keeps its greenlets") {
  const std::string path = temporary_path("fork");
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_FILE, path.c_str()) == 0);
  const Greenlet main = current();
  const Greenlet g = spawn([&] {
    for (;;) main.switch_to();
  });
  g.switch_to();
  const std::uint64_t before = read_file(path).rings.at(0).header.written;
  const int status = wait_for(fork_child([&] {
    for (int i = 0; i < 100; ++i) g.switch_to();
    std::thread([] { spawn([] {}).switch_to(); }).join();
    _exit(own_ring().size() >= 300 ? 0 : 1);
  }));
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(read_file(path).rings.at(0).header.written == before);
  REQUIRE(coppice_recorder_set(COPPICE_RECORDER_MEMORY, nullptr) == 0);
  unlink(path.c_str());
}
#endif
