#include "tui/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "tui/terminal/theme.hpp"

namespace coppice::tui {
namespace {

constexpr const char* description =
    "gltop shows what every greenlet of a running program is doing, like htop shows processes: a list of "
    "greenlets, and\n"
    "the C backtrace of the selected one, taken from outside. The program is not changed, and only a thread "
    "that is on a\n"
    "CPU is stopped, for the microseconds that copying its registers takes.";

constexpr const char* examples =
    "Examples:\n"
    "  gltop                         list the processes that have greenlets; Enter opens one\n"
    "  gltop -p 1234                 watch process 1234; press F1 for the keys\n"
    "  gltop -p 1234 -s idle         those that have slept longest first\n"
    "  gltop -p 1234 -F wait_for     only greenlets with wait_for in a function of their backtrace\n"
    "  gltop --once -p 1234 > file   the same as text\n"
    "\n"
    "Exit status: 0 done; 1 could not, with the reason on standard error; 2 wrong usage; 3 (with --once) a "
    "backtrace\n"
    "is incomplete or the process ended meanwhile.\n"
    "See also: gldump (one-shot, cores, JSON), and \"info greenlets\" in GDB.";

std::string sort_keys() {
  std::string out;
  for (const ColumnInfo& column : column_table)
    out += fmt::format("{}{}", out.empty() ? "" : ", ", column.key);
  return out;
}

}  // namespace

std::optional<ExitStatus> parse_options(int argc, const char* const* argv, Options& options) {
  double delay = 1.0;
  std::string sort_key;
  bool nonblocking = false;
  bool native = false;
  bool python = false;
  bool no_color = false;

  CLI::App app(description, "gltop");
  app.footer(examples);
  app.get_formatter()->column_width(34);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", "gltop " COPPICE_VERSION, "Print the version and exit");
  app.add_option("-p,--pid", options.pid, "The process to show")
      ->check(CLI::Range(1, std::numeric_limits<pid_t>::max()))
      ->type_name("PID");
  app.add_option("-d,--delay", delay, "Time between two refreshes, 0.1 to 3600 (1)")
      ->check(CLI::Range(0.1, 3600.0))
      ->type_name("SECONDS");
  app.add_flag("--once", options.run.once,
               "Print everything once as text and exit; the default when standard output is no terminal. "
               "Takes two snapshots, SECONDS apart, for the rates");
  app.add_option("-s,--sort-key", sort_key, "Sort by " + sort_keys() + " (rate)")->type_name("COLUMN");
  app.add_option("-F,--filter", options.run.view.filter,
                 "List only greenlets with TEXT in id, name, state, what they wait for, or a function of "
                 "their backtrace")
      ->type_name("TEXT");
  auto* native_flag =
      app.add_flag("--native", native, "Of Python programs, the C frames of the interpreter, too");
  app.add_flag("--python", python, "Of Python programs, Python's frames alone")->excludes(native_flag);
  app.add_flag("--nonblocking", nonblocking,
               "Never stop a thread, not even for its registers; greenlets on a CPU have no backtrace then");
  app.add_flag("--no-color", no_color, "No colours; so does NO_COLOR in the environment");
  app.add_option("--lib-search-path", options.search.directories,
                 "Where to look for files and debug information of modules; may be repeated")
      ->type_name("DIR");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    app.exit(success, std::cout, std::cerr);
    return exit_done;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "gltop: {}; see gltop --help\n", printable(error.what(), locale_charset()));
    return exit_usage;
  }
  if (!sort_key.empty()) {
    const auto column = column_by_key(sort_key);
    if (!column) {
      fmt::print(stderr, "gltop: --sort-key: no column \"{}\"; there are {}\n",
                 printable(sort_key, locale_charset()), sort_keys());
      return exit_usage;
    }
    options.run.view.sort = sort_by(*column);
  }
  options.run.view.interval = std::chrono::milliseconds(std::lround(delay * 1000));
  if (native) options.run.view.snapshot.choice = inspect::FrameChoice::native;
  if (python) options.run.view.snapshot.choice = inspect::FrameChoice::python;
  if (nonblocking) options.run.view.snapshot.stopping = inspect::Stopping::never;
  options.run.colors = !no_color && colors_wanted();
  return std::nullopt;
}

}  // namespace coppice::tui
