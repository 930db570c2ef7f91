// The program that tests look into: reports its addresses and then blocks until its input ends.
//   subject [spin] [sleepers] [poller] [faulter] [count-signals] [guard] [undumpable] [leave-main]
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

extern "C" {
const char read_only_text[] = "in .rodata: the quick brown fox";
char written_text[64] = "in .data: jumps over";
char zeroed[8192];
std::atomic<std::uint64_t> spins;
std::atomic<std::uint64_t> signals;
std::atomic<std::uint64_t> interrupted;  // how often epoll_wait returned
}

namespace {

void report(const char* name, std::uint64_t value) {
  std::printf("%s %" PRIx64 "\n", name, value);
}
void report(const char* name, const void* value) {
  report(name, reinterpret_cast<std::uintptr_t>(value));
}

/// Three pages of which the middle one faults although its mapping says rw-: as new kernels guard stacks.
void make_guarded() {
  constexpr std::size_t kPage = 4096;
  auto* area = static_cast<char*>(
      mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  std::memset(area, 'g', 3 * kPage);
  constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL, Linux 6.13
  report("guarded", area);
  report("guard_works", madvise(area + kPage, kPage, kGuardInstall) == 0 ? 1 : 0);
}

/// A page that whoever touches it waits for, for ever. Null where this process may not make one.
void* make_absent_page() {
  constexpr std::size_t kPage = 4096;
  const int descriptor = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
  if (descriptor < 0) return nullptr;
  uffdio_api api{};
  api.api = UFFD_API;
  if (ioctl(descriptor, UFFDIO_API, &api) != 0) return nullptr;
  void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uffdio_register wanted{};
  wanted.range = {reinterpret_cast<std::uintptr_t>(page), kPage};
  wanted.mode = UFFDIO_REGISTER_MODE_MISSING;
  return ioctl(descriptor, UFFDIO_REGISTER, &wanted) == 0 ? page : nullptr;
}

[[gnu::noinline]] void touch(volatile char* page) {
  *page = 1;
}

[[gnu::noinline]] void spin() {
  for (;;) spins.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto asked = [&](const char* word) {
    for (const std::string& w : words) {
      if (w == word) return true;
    }
    return false;
  };
  std::vector<char> heap(100'000);
  for (std::size_t i = 0; i < heap.size(); ++i) heap[i] = static_cast<char>(i * 7);
  std::strcpy(zeroed + 5000, "in .bss: the lazy dog");

  report("rodata", static_cast<const void*>(read_only_text));
  report("data", written_text);
  report("bss", zeroed);
  report("heap", heap.data());
  report("main", reinterpret_cast<const void*>(&main));
  report("spins", &spins);
  report("spin", reinterpret_cast<const void*>(&spin));
  report("libc", stdout);
  int local = 42;
  report("local", &local);
  if (asked("guard")) make_guarded();
  if (asked("count-signals")) {
    report("signals", &signals);
    std::signal(SIGUSR1, [](int) { ++signals; });
  }
  if (asked("undumpable")) prctl(PR_SET_DUMPABLE, 0);

  std::atomic<int> started = 0;
  std::vector<std::thread> threads;
  if (asked("spin")) {
    threads.emplace_back([&] {
      int on_stack = 0;
      report("spinner-stack", &on_stack);
      report("spinner", static_cast<std::uint64_t>(gettid()));
      pthread_setname_np(pthread_self(), "spinner");
      ++started;
      spin();
    });
    while (started < 1) std::this_thread::yield();
  }
  if (asked("sleepers")) {
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        const std::string name = "sleeper-" + std::to_string(i);
        pthread_setname_np(pthread_self(), name.c_str());
        report((name + "-tid").c_str(), static_cast<std::uint64_t>(gettid()));
        const int on_stack = i;
        report((name + "-stack").c_str(), &on_stack);
        ++started;
        for (;;) pause();
      });
      while (started < i + 1 + (asked("spin") ? 1 : 0)) std::this_thread::yield();
    }
  }
  if (asked("poller")) {
    const int before = started;
    report("interrupted", &interrupted);
    threads.emplace_back([&] {
      report("poller", static_cast<std::uint64_t>(gettid()));
      const int poll = epoll_create1(0);
      epoll_event event;
      ++started;
      for (;;) {
        epoll_wait(poll, &event, 1, -1);
        ++interrupted;
      }
    });
    while (started == before) std::this_thread::yield();
  }
  if (asked("faulter")) {
    void* absent = make_absent_page();
    report("absent", absent);
    report("touch", reinterpret_cast<const void*>(&touch));
    const int before = started;
    threads.emplace_back([&, absent] {
      report("faulter", static_cast<std::uint64_t>(gettid()));
      ++started;
      if (absent != nullptr) touch(static_cast<volatile char*>(absent));
      for (;;) pause();
    });
    while (started == before) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.detach();
  report("pid", static_cast<std::uint64_t>(getpid()));
  std::printf("ready\n");
  std::fflush(stdout);
  if (asked("leave-main")) pthread_exit(nullptr);

  char line[64];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
#ifndef SUBJECT_IS_STATIC
    if (std::strcmp(line, "load\n") == 0) {
      void* library = dlopen("libBrokenLocale.so.1", RTLD_NOW);  // of glibc; nobody else uses it
      report("library", library == nullptr ? nullptr : *static_cast<void**>(library));
    }
#endif
    std::printf("ready\n");
    std::fflush(stdout);
  }
  _exit(0);
}
