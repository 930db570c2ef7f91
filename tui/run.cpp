#include "tui/run.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

#include "tui/once.hpp"
#include "tui/terminal/events.hpp"
#include "tui/terminal/screen.hpp"

namespace coppice::tui {
namespace {

ExitStatus fail(const std::string& message) {
  fmt::print(stderr, "gltop: {}\n", printable(message, locale_charset()));
  return exit_could_not;
}

/// Of the terminal that standard output is; 0 when it is none.
std::size_t output_columns() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

ExitStatus print_process(SnapshotSource& source, const RunOptions& options) {
  bool ended_midway = false;
  const auto sample = sample_once(source, options.view, ended_midway);
  if (!sample.ok()) return fail(sample.error().message);
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  print_sample(stdout, *sample, options.view, output_columns(), terminal, options.colors, locale_charset());
  const auto& snapshot = (*sample)->snapshot;
  for (const std::string& warning : snapshot.warnings) {
    fmt::print(stderr, "gltop: warning: {}\n", printable(warning, locale_charset()));
  }
  if (ended_midway) {
    fmt::print(stderr, "gltop: process {} ended meanwhile; this is the last that was read\n",
               snapshot.target.pid);
    return exit_incomplete;
  }
  if (snapshot.greenlets.empty()) {
    fmt::print(stderr, "gltop: process {} has no greenlets\n", snapshot.target.pid);
  }
  return snapshot.stats.incomplete > 0 ? exit_incomplete : exit_done;
}

ExitStatus watch_process(std::unique_ptr<SnapshotSource> source, const RunOptions& options) {
  inspect::Result<void> shown;
  {
    // Whatever coppice-worker does, a broken pipe must not end the program.
    std::signal(SIGPIPE, SIG_IGN);
    auto screen = Screen::open(options.colors);
    if (!screen.ok()) return fail(screen.error().message);
    Events events(**screen);
    GreenletView view(**screen, events, std::move(source), options.view, locale_charset());
    shown = view.run();
  }
  return shown.ok() ? exit_done : fail(shown.error().message);
}

}  // namespace

ExitStatus run_process(std::unique_ptr<SnapshotSource> source, const RunOptions& options) {
  try {
    if (options.once || ::isatty(STDOUT_FILENO) == 0) return print_process(*source, options);
    return watch_process(std::move(source), options);
  } catch (const std::exception& exception) {
    return fail(exception.what());
  }
}

void leave(ExitStatus status) {
  std::fflush(nullptr);
  std::_Exit(status);
}

}  // namespace coppice::tui
