#include "inspect/gldump/report.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "inspect/base/printable.hpp"
#include "inspect/export/json.hpp"
#include "inspect/export/text.hpp"
#include "inspect/snapshot/session.hpp"

namespace coppice::gldump {

using namespace coppice::inspect;

void say(const std::string& what) {
  fmt::print(stderr, "gldump: {}\n", printable(what));
}

Status fail(const Error& error) {
  say(describe(error));
  return could_not;
}

Result<Snapshot> take(Result<std::unique_ptr<Target>> target, const Options& options) {
  if (!target.ok()) return std::move(target).error();
  Session session(std::move(target).value());
  Progress progress;
  SnapshotOptions wanted;
  wanted.frames = options.command == Command::backtraces || options.command == Command::groups;
  wanted.symbols = options.symbols;
  wanted.stopping = options.nonblocking ? Stopping::never : Stopping::allowed;
  wanted.ids = options.ids;
  wanted.choice = options.frames;
  wanted.locals = options.locals;
  wanted.origins = options.command == Command::backtraces;
  wanted.progress = [&progress](const char* what, std::uint64_t so_far, std::uint64_t total) {
    progress.show(what, so_far, total);
  };
  return session.take(wanted);
}

void print(Snapshot& snapshot, const Options& options, Output& output) {
  std::erase_if(snapshot.greenlets, [](const SnapshotGreenlet& greenlet) { return !greenlet.chosen; });
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

Status status_of(const Snapshot& snapshot) {
  return snapshot.target_died || snapshot.stats.incomplete > 0 ? incomplete : done;
}

Status finish(Output& output, Status status) {
  const std::string failure = output.finish();
  if (failure.empty()) return status;
  say("cannot write: " + failure);
  return could_not;
}

}  // namespace coppice::gldump
