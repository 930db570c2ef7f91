#include "inspect/gldump/terminal.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace coppice::gldump {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread is started
  return value != nullptr ? value : "";
}

}  // namespace

inspect::TextStyle style_of_stdout(bool color_wanted) {
  if (isatty(STDOUT_FILENO) == 0) return {};
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  const bool color = color_wanted && environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  return {color, known ? size.ws_col : std::size_t{0}};
}

void Output::note_failure() {
  if (closed_) return;
  closed_ = true;
  if (errno != EPIPE) failure_ = std::generic_category().message(errno);
}

bool Output::write(std::string_view text) {
  if (!closed_ && std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) note_failure();
  return !closed_;
}

std::string Output::finish() {
  if (!closed_ && std::fflush(stdout) != 0) note_failure();
  return failure_;
}

Progress::Progress() : start_(std::chrono::steady_clock::now()), terminal_(isatty(STDERR_FILENO) != 0) {}

void Progress::show(const char* what, std::uint64_t done, std::uint64_t total) {
  using namespace std::chrono_literals;
  if (!terminal_ || std::chrono::steady_clock::now() - start_ < 300ms) return;
  std::string line = fmt::format("\r\x1b[K{} ...", what);
  if (total > 0) line += fmt::format(" {} of {}", done, total);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
  shown_ = false;
}

}  // namespace coppice::gldump
