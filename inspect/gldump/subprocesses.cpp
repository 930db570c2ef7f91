#include "inspect/gldump/subprocesses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "inspect/export/text.hpp"
#include "inspect/target/process_tree.hpp"

namespace coppice::gldump {
namespace {

using namespace coppice::inspect;

/// Standard output with what stands between the processes.
class Listing {
 public:
  explicit Listing(const Options& options) : options_(options) {}

  void add(Snapshot& snapshot) {
    if (options_.json) {
      output_.write(count_ == 0 ? "[" : ",");
    } else {
      const std::string heading = process_line(snapshot.target, style_of_stdout(options_.color));
      output_.write((count_ == 0 ? "" : "\n") + heading + "\n\n");
    }
    print(snapshot, options_, output_);
    ++count_;
  }

  Status finish(Status status) {
    if (options_.json) output_.write(count_ == 0 ? "[]\n" : "]\n");
    return gldump::finish(output_, status);
  }

  std::size_t count() const { return count_; }

 private:
  const Options& options_;
  Output output_;
  std::size_t count_ = 0;
};

bool has_ended(const Error& error) {
  return error.code == ErrorCode::gone || error.code == ErrorCode::no_such_process;
}

}  // namespace

Status run_with_subprocesses(const Options& options) {
  const std::vector<pid_t> pids = process_tree(options.pid);
  Listing listing(options);
  Status status = done;
  std::size_t read = 0;
  std::vector<std::string> failures;
  for (const pid_t pid : pids) {
    auto snapshot = take(open_process(pid, options.search), options);
    if (!snapshot.ok()) {
      const Error& error = snapshot.error();
      if (has_ended(error) && pid != options.pid) continue;
      failures.push_back(fmt::format("process {}: {}", pid, describe(error)));
      continue;
    }
    ++read;
    if (snapshot->providers.empty()) continue;  // nothing that could have greenlets
    for (const std::string& warning : snapshot->warnings) {
      say(fmt::format("warning: process {}: {}", pid, warning));
    }
    if (snapshot->greenlets.empty()) continue;
    status = std::max(status, status_of(*snapshot));
    listing.add(*snapshot);
  }
  if (read == 0 && !failures.empty()) {
    say(failures.front());
    return could_not;
  }
  for (const std::string& failure : failures) say("warning: " + failure);
  if (!failures.empty()) status = incomplete;
  if (listing.count() == 0) {
    const std::size_t others = pids.size() - 1;
    say(fmt::format("note: there are no greenlets in process {} and its {} subprocess{}", options.pid, others,
                    others == 1 ? "" : "es"));
  }
  return listing.finish(status);
}

}  // namespace coppice::gldump
