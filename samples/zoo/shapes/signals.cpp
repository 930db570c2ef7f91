// Handlers that switch away. Both signals are synchronous, so a handler may do whatever its greenlet may.
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

namespace {

// Set just before the signal, taken at once by its handler.
thread_local coppice::zoo::Step* step_of_handler = nullptr;

void run_step_of_handler() {
  if (auto* step = std::exchange(step_of_handler, nullptr)) {
    step->run();
    return;
  }
  static constexpr char message[] = "coppice-zoo: a signal that nobody raised\n";
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, message, sizeof message - 1);
  std::_Exit(1);
}

void on_signal(int) {
  run_step_of_handler();
  zoo_opaque(0);
}

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

/// Lets the store that faulted succeed when it is tried again.
void on_fault(int, siginfo_t* info, void*) {
  void* page = info->si_addr;
  run_step_of_handler();
  if (::mprotect(page, page_size(), PROT_READ | PROT_WRITE) != 0) std::abort();
}

/// SA_NODEFER: the signal must not stay blocked for the greenlets that run while this one sleeps in its
/// handler.
void install(int signal, void (*handler)(int), void (*detailed)(int, siginfo_t*, void*)) {
  struct sigaction action{};
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_NODEFER | (detailed != nullptr ? SA_SIGINFO : 0);
  if (detailed != nullptr) {
    action.sa_sigaction = detailed;
  } else {
    action.sa_handler = handler;
  }
  if (::sigaction(signal, &action, nullptr) != 0) std::abort();
}

}  // namespace

void zoo_signal_handler(coppice::zoo::Step& next) {
  [[maybe_unused]] static const bool installed = (install(SIGUSR1, on_signal, nullptr), true);
  std::byte local[40];
  zoo_write_pattern(local, sizeof local);
  step_of_handler = &next;
  if (std::raise(SIGUSR1) != 0) std::abort();
  zoo_check_pattern(local, sizeof local);
}

void zoo_fault_handler(coppice::zoo::Step& next) {
  [[maybe_unused]] static const bool installed = (install(SIGSEGV, nullptr, on_fault), true);
  std::byte local[40];
  zoo_write_pattern(local, sizeof local);
  void* page = ::mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) std::abort();
  step_of_handler = &next;
  *static_cast<volatile int*>(page) = 42;
  if (*static_cast<volatile int*>(page) != 42) std::abort();
  ::munmap(page, page_size());
  zoo_check_pattern(local, sizeof local);
}
