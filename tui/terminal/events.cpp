#include "tui/terminal/events.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>

namespace coppice::tui {

bool Events::wait(int fd) {
  std::array<pollfd, 3> polled{{{STDIN_FILENO, POLLIN, 0}, {signals_.fd(), POLLIN, 0}, {fd, POLLIN, 0}}};
  ::poll(polled.data(), polled.size(), -1);  // an interruption is as good as an event
  if ((polled[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return false;
  answer_signals();
  return true;
}

void Events::answer_signals() {
  while (const auto signal_number = signals_.next()) {
    switch (*signal_number) {
      case SIGTSTP:
        screen_.suspend();
        signals_.stop_process();
        screen_.resume();
        break;
      case SIGCONT:
        // After our own stop this is once too often, but after SIGSTOP, which nobody can see coming, it is
        // the only chance to set the terminal up again.
        screen_.resume();
        break;
      default:
        screen_.resized();
        break;
    }
  }
}

}  // namespace coppice::tui
