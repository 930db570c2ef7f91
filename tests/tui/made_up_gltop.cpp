// gltop's view of a program that does not exist, for the terminal tests.
#include <CLI/CLI.hpp>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "tests/tui/made_up_source.hpp"
#include "tui/run.hpp"
#include "tui/terminal/theme.hpp"

int main(int argc, char** argv) {
  using namespace coppice::tui;
  std::setlocale(LC_ALL, "");
  MadeUp what;
  double interval = 0.2;
  bool lose_permission = false;
  int delay_ms = 0;
  RunOptions options;
  CLI::App app("gltop on a made-up program");
  app.add_option("--greenlets", what.greenlets);
  app.add_option("--fail-after", what.fail_after);
  app.add_flag("--lose-permission", lose_permission);
  app.add_option("--crash-after", what.crash_after);
  app.add_option("--throw-after", what.throw_after);
  app.add_option("--delay-ms", delay_ms);
  app.add_option("-d", interval);
  app.add_flag("--once", options.once);
  CLI11_PARSE(app, argc, argv);
  if (lose_permission) what.error = coppice::inspect::ErrorCode::not_permitted;
  what.delay = std::chrono::milliseconds(delay_ms);
  options.view.interval = std::chrono::milliseconds(static_cast<int>(interval * 1000));
  options.colors = colors_wanted();
  leave(run_process(std::make_unique<MadeUpSource>(what), options));
}
