#include "tui/browse.hpp"

#include <unistd.h>

#include <exception>
#include <memory>
#include <utility>

#include "tui/once.hpp"
#include "tui/process_view.hpp"
#include "tui/session_source.hpp"
#include "tui/widgets/process_list.hpp"

namespace coppice::tui {
namespace {

ExitStatus print_processes(const Options& options) {
  auto scan = scan_processes();
  if (!scan.ok()) return fail(scan.error().message);
  const auto list = std::make_shared<const ProcessList>(std::move(scan).value());
  print_process_list(list, Paper::standard_output(options.run.colors));
  return exit_done;
}

/// Until the user quits the list, or a view of greenlets.
inspect::Result<void> choose_and_watch(Screen& screen, Events& events, const Options& options) {
  const Charset charset = locale_charset();
  ProcessView processes(screen, events, charset);
  ViewOptions view_options = options.run.view;
  view_options.escape_leaves = true;
  for (;;) {
    const auto chosen = processes.run();
    if (!chosen.ok()) return chosen.error();
    const auto& pid = *chosen;
    if (!pid) return {};
    auto target = inspect::open_process(*pid, options.search);
    if (!target.ok()) {
      processes.set_message(target.error().message);
      continue;
    }
    GreenletView view(screen, events, std::make_unique<SessionSource>(std::move(target).value()),
                      view_options, charset);
    const auto left = view.run();
    if (!left.ok()) {
      processes.set_message(left.error().message);
    } else if (*left == GreenletView::Left::quit) {
      return {};
    }
  }
}

}  // namespace

ExitStatus show_process(const Options& options) {
  auto target = inspect::open_process(options.pid, options.search);
  if (!target.ok()) return fail(target.error().message);
  return run_process(std::make_unique<SessionSource>(std::move(target).value()), options.run);
}

ExitStatus browse(const Options& options) {
  try {
    if (options.run.once || ::isatty(STDOUT_FILENO) == 0) return print_processes(options);
    return on_screen(options.run.colors, [&](Screen& screen, Events& events) {
      return choose_and_watch(screen, events, options);
    });
  } catch (const std::exception& exception) {
    return fail(exception.what());
  }
}

}  // namespace coppice::tui
