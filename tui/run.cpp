#include "tui/run.hpp"

#include <fmt/format.h>
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

ExitStatus print_process(SnapshotSource& source, const RunOptions& options) {
  bool ended_midway = false;
  const auto sample = sample_once(source, options.view, ended_midway);
  if (!sample.ok()) return fail(sample.error().message);
  print_sample(*sample, options.view, Paper::standard_output(options.colors));
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
    fmt::print(stderr, "gltop: {}\n", printable(why_empty(snapshot), locale_charset()));
  }
  return snapshot.stats.incomplete > 0 ? exit_incomplete : exit_done;
}

}  // namespace

ExitStatus fail(const std::string& message) {
  fmt::print(stderr, "gltop: {}\n", printable(message, locale_charset()));
  return exit_could_not;
}

ExitStatus on_screen(bool colors, const std::function<inspect::Result<void>(Screen&, Events&)>& show) {
  // Whatever becomes of coppice-worker, a broken pipe must not end the program.
  std::signal(SIGPIPE, SIG_IGN);
  inspect::Result<void> shown;
  {
    auto screen = Screen::open(colors);
    if (!screen.ok()) return fail(screen.error().message);
    Events events(**screen);
    shown = show(**screen, events);
  }
  return shown.ok() ? exit_done : fail(shown.error().message);
}

ExitStatus run_process(std::unique_ptr<SnapshotSource> source, const RunOptions& options) {
  try {
    if (options.once || ::isatty(STDOUT_FILENO) == 0) return print_process(*source, options);
    return on_screen(options.colors, [&](Screen& screen, Events& events) -> inspect::Result<void> {
      const auto left = GreenletView(screen, events, std::move(source), options.view, locale_charset()).run();
      if (!left.ok()) return left.error();
      return {};
    });
  } catch (const std::exception& exception) {
    return fail(exception.what());
  }
}

void leave(ExitStatus status) {
  std::fflush(nullptr);
  std::_Exit(status);
}

}  // namespace coppice::tui
