// gldump: greenlets of a process or a core, once.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <variant>

#include "inspect/base/printable.hpp"
#include "inspect/export/json.hpp"
#include "inspect/export/text.hpp"
#include "inspect/gldump/options.hpp"
#include "inspect/gldump/terminal.hpp"
#include "inspect/snapshot/session.hpp"

namespace coppice::gldump {
namespace {

using namespace coppice::inspect;

/// DESIGN.md, "Contracts".
enum Status : int { done = 0, could_not = 1, incomplete = 3 };

void say(const std::string& what) {
  fmt::print(stderr, "gldump: {}\n", printable(what));
}

int fail(const Error& error) {
  say(describe(error));
  return could_not;
}

Result<Snapshot> take(Session& session, const Options& options) {
  Progress progress;
  SnapshotOptions wanted;
  wanted.frames = options.command == Command::backtraces || options.command == Command::groups;
  wanted.symbols = options.symbols;
  wanted.stopping = options.nonblocking ? Stopping::never : Stopping::allowed;
  wanted.ids = options.ids;
  wanted.choice = options.frames;
  wanted.locals = options.locals;
  wanted.progress = [&progress](const char* what, std::uint64_t so_far, std::uint64_t total) {
    progress.show(what, so_far, total);
  };
  return session.take(wanted);
}

void print(const Snapshot& snapshot, const Options& options, Output& output) {
  const Sink sink = [&output](std::string_view text) { return output.write(text); };
  if (options.json) {
    const bool frames = options.command == Command::backtraces || options.command == Command::groups;
    write_json(snapshot, {frames, options.command == Command::groups, options.command == Command::waits},
               sink);
    return;
  }
  const TextStyle style = style_of_stdout(options.color);
  switch (options.command) {
    case Command::list:
      write_list(snapshot, style, sink);
      break;
    case Command::backtraces:
      write_backtraces(snapshot, style, sink);
      break;
    case Command::groups:
      write_groups(snapshot, style, sink);
      break;
    case Command::waits:
      write_waits(snapshot, style, sink);
      break;
  }
}

int run(const Options& options) {
  auto target = options.core.empty() ? open_process(options.pid, options.search)
                                     : open_core(options.core, options.search);
  if (!target.ok()) return fail(target.error());
  Session session(std::move(target).value());
  auto snapshot = take(session, options);
  if (!snapshot.ok()) return fail(snapshot.error());

  for (const std::string& warning : snapshot->warnings) say("warning: " + warning);
  if (snapshot->greenlets.empty()) say("note: " + why_empty(*snapshot));
  std::erase_if(snapshot->greenlets, [](const SnapshotGreenlet& greenlet) { return !greenlet.chosen; });

  Output output;
  print(*snapshot, options, output);
  if (const std::string failure = output.finish(); !failure.empty()) {
    say("cannot write: " + failure);
    return could_not;
  }
  return snapshot->target_died || snapshot->stats.incomplete > 0 ? incomplete : done;
}

}  // namespace
}  // namespace coppice::gldump

int main(int argc, char** argv) {
  using namespace coppice::gldump;
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is then an ordinary error of write()
  const auto parsed = parse(argc, argv);
  if (const auto* exit = std::get_if<Exit>(&parsed)) return exit->status;
  return run(std::get<Options>(parsed));
}
