#include "tui/terminal/signal_events.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace coppice::tui {

SignalEvents::SignalEvents() {
  sigset_t held;
  ::sigemptyset(&held);
  for (const int signal_number : {SIGWINCH, SIGTSTP, SIGCONT}) ::sigaddset(&held, signal_number);
  ::pthread_sigmask(SIG_BLOCK, &held, &before_);
  fd_ = inspect::UniqueFd(::signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) {
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    throw std::system_error(error, std::generic_category(), "signalfd");
  }
}

SignalEvents::~SignalEvents() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> SignalEvents::next() {
  signalfd_siginfo event{};
  if (::read(fd_.get(), &event, sizeof event) != sizeof event) return std::nullopt;
  return static_cast<int>(event.ssi_signo);
}

void SignalEvents::stop_process() {
  struct sigaction stop{};
  struct sigaction former{};
  stop.sa_handler = SIG_DFL;
  ::sigaction(SIGTSTP, &stop, &former);
  sigset_t only_stop;
  sigset_t held;
  ::sigemptyset(&only_stop);
  ::sigaddset(&only_stop, SIGTSTP);
  ::raise(SIGTSTP);
  ::pthread_sigmask(SIG_UNBLOCK, &only_stop, &held);  // here it stops
  ::pthread_sigmask(SIG_SETMASK, &held, nullptr);
  ::sigaction(SIGTSTP, &former, nullptr);
}

}  // namespace coppice::tui
