// gldump: greenlets of a process or a core, once.
#include <csignal>
#include <variant>

#include "inspect/gldump/options.hpp"
#include "inspect/gldump/report.hpp"
#include "inspect/gldump/subprocesses.hpp"

namespace coppice::gldump {
namespace {

using namespace coppice::inspect;

Status run(const Options& options) {
  auto snapshot = take(options.core.empty() ? open_process(options.pid, options.search)
                                            : open_core(options.core, options.search),
                       options);
  if (!snapshot.ok()) return fail(snapshot.error());
  for (const std::string& warning : snapshot->warnings) say("warning: " + warning);
  if (snapshot->greenlets.empty()) say("note: " + why_empty(*snapshot));
  Output output;
  print(*snapshot, options, output);
  return finish(output, status_of(*snapshot));
}

}  // namespace
}  // namespace coppice::gldump

int main(int argc, char** argv) {
  using namespace coppice::gldump;
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is then an ordinary error of write()
  const auto parsed = parse(argc, argv);
  if (const auto* exit = std::get_if<Exit>(&parsed)) return exit->status;
  const auto& options = std::get<Options>(parsed);
  return options.subprocesses ? run_with_subprocesses(options) : run(options);
}
