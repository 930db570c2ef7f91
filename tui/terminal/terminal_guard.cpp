#include "tui/terminal/terminal_guard.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace coppice::tui {
namespace {

/// Everything the handler needs, written before it can run.
struct Restoration {
  int fd = -1;
  termios modes{};
  std::array<char, 256> sequences{};
  std::size_t sequences_size = 0;
};

Restoration restoration;
std::atomic<bool> guard_armed = false;
static_assert(std::atomic<bool>::is_always_lock_free);

constexpr std::array ending_signals{SIGINT,  SIGTERM, SIGHUP, SIGQUIT, SIGABRT,
                                    SIGSEGV, SIGBUS,  SIGFPE, SIGILL};
constexpr std::array crash_signals{SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

/// A stack overflow leaves no room for a handler on the stack itself.
constexpr std::size_t handler_stack_size = 64 * 1024;
alignas(16) std::array<char, handler_stack_size> handler_stack;

void restore() noexcept {
  if (!guard_armed.exchange(false)) return;
  ::tcflow(restoration.fd, TCOON);  // output that ^S stopped would block the write
  std::size_t done = 0;
  while (done < restoration.sequences_size) {
    const ssize_t written =
        ::write(restoration.fd, restoration.sequences.data() + done, restoration.sequences_size - done);
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  ::tcsetattr(restoration.fd, TCSANOW, &restoration.modes);
}

void restore_and_end(int signal_number) {
  restore();
  // SA_RESETHAND has restored the default action, and SA_NODEFER left the signal unblocked.
  ::raise(signal_number);
}

}  // namespace

TerminalGuard::TerminalGuard(int fd, const termios& modes, std::string_view sequences) {
  if (sequences.size() > restoration.sequences.size())
    throw std::length_error("restoring sequences too long");
  restoration.fd = fd;
  restoration.modes = modes;
  restoration.sequences_size = sequences.size();
  std::copy(sequences.begin(), sequences.end(), restoration.sequences.begin());

  stack_t stack{};
  stack.ss_sp = handler_stack.data();
  stack.ss_size = handler_stack.size();
  ::sigaltstack(&stack, nullptr);  // of this thread; without it only an overflow would go unhandled
  for (const int signal_number : ending_signals) {
    struct sigaction before{};
    ::sigaction(signal_number, nullptr, &before);
    // What the user had ignored (nohup) stays ignored; a crash cannot be.
    const bool crash =
        std::find(crash_signals.begin(), crash_signals.end(), signal_number) != crash_signals.end();
    if (before.sa_handler == SIG_IGN && !crash) continue;
    struct sigaction action{};
    action.sa_handler = restore_and_end;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER | SA_ONSTACK);
    ::sigemptyset(&action.sa_mask);
    ::sigaction(signal_number, &action, nullptr);
  }
  static const int registered = std::atexit(restore);
  static_cast<void>(registered);
  guard_armed = true;
}

TerminalGuard::~TerminalGuard() {
  guard_armed = false;
}

void TerminalGuard::arm(bool armed) noexcept {
  guard_armed = armed;
}

}  // namespace coppice::tui
