#include "inspect/target/process_tree.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>

#include "inspect/base/files.hpp"
#include "inspect/target/proc_files.hpp"

namespace coppice::inspect {
namespace {

using Children = std::map<pid_t, std::vector<pid_t>>;

/// All processes but this one, by their parents.
Children all_children() {
  constexpr std::size_t longest_status = 65'536;
  Children children;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    pid_t pid = 0;
    const auto [stop, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || stop != name.data() + name.size() || pid == getpid()) continue;
    const auto text = read_text_at(AT_FDCWD, "/proc/" + name + "/status", longest_status);
    if (!text.ok()) continue;  // it has exited meanwhile
    const ProcStatus status = parse_status(*text);
    if (!status.exited()) children[status.parent].push_back(pid);
  }
  for (auto& [parent, some] : children) std::ranges::sort(some);
  return children;
}

}  // namespace

std::vector<pid_t> process_tree(pid_t root) {
  Children children = all_children();
  std::vector<pid_t> tree;
  std::vector<pid_t> waiting = {root};
  while (!waiting.empty()) {
    const pid_t pid = waiting.back();
    waiting.pop_back();
    tree.push_back(pid);
    // Taken out, so that numbers used again meanwhile cannot make a circle.
    if (auto found = children.extract(pid)) {
      std::ranges::reverse_copy(found.mapped(), std::back_inserter(waiting));
    }
  }
  return tree;
}

}  // namespace coppice::inspect
