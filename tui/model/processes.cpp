#include "tui/model/processes.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "inspect/greenlets/provider.hpp"
#include "inspect/target/target.hpp"

namespace coppice::tui {
namespace {

std::optional<pid_t> pid_of(const std::string& name) {
  pid_t pid = 0;
  const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (failure != std::errc{} || end != name.data() + name.size() || pid <= 0) return std::nullopt;
  return pid;
}

std::string owner(pid_t pid) {
  struct stat status{};
  if (::stat(fmt::format("/proc/{}", pid).c_str(), &status) != 0) return {};
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (::getpwuid_r(status.st_uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return entry.pw_name;
  }
  return std::to_string(status.st_uid);
}

/// Threads of the kernel have no program.
bool has_program(pid_t pid) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), error);
  return !program.empty() || error != std::errc::no_such_file_or_directory;
}

void look_into(inspect::Target& target, ProcessList& list) {
  ProcessEntry entry;
  entry.pid = target.pid();
  auto providers = inspect::find_providers(target);
  if (providers.ok() && providers->empty()) return;
  entry.user = owner(entry.pid);
  entry.command = target.command_line();
  if (!providers.ok()) {
    if (providers.error().code == inspect::ErrorCode::gone) return;
    entry.remark = providers.error().message;
    list.entries.push_back(std::move(entry));
    return;
  }
  std::uint64_t greenlets = 0;
  for (const auto& provider : *providers) {
    entry.runtime += (entry.runtime.empty() ? "" : ",") + std::string(provider->name());
    const auto reading = provider->read({.stacks = false, .stopping = inspect::Stopping::never});
    if (!reading.ok()) {
      if (reading.error().code == inspect::ErrorCode::gone) return;
      entry.remark = reading.error().message;
      continue;
    }
    greenlets += reading->greenlets.size();
  }
  if (entry.remark.empty()) entry.greenlets = greenlets;
  list.entries.push_back(std::move(entry));
}

}  // namespace

inspect::Result<ProcessList> scan_processes() {
  std::error_code error;
  std::vector<pid_t> pids;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    if (const auto pid = pid_of(entry->path().filename()); pid && *pid != ::getpid()) pids.push_back(*pid);
  }
  if (error) return inspect::Error{inspect::ErrorCode::io, 0, "cannot list /proc: " + error.message()};
  std::sort(pids.begin(), pids.end());
  ProcessList list;
  for (const pid_t pid : pids) {
    if (!has_program(pid)) continue;
    auto target = inspect::open_process(pid);
    if (target.ok()) {
      ++list.looked_at;
      look_into(**target, list);
    } else if (target.error().code == inspect::ErrorCode::not_permitted) {
      ++list.not_permitted;
    }
  }
  return list;
}

}  // namespace coppice::tui
