#include "inspect/snapshot/snapshot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace coppice::inspect {

std::string Frame::title() const {
  if (!function.empty()) return std::string(function);
  if (!module.empty() && offset) {
    return fmt::format("{}+{:#x}", module.substr(module.find_last_of('/') + 1), *offset);
  }
  return fmt::format("{:#018x}", pc);
}

namespace {

/// FNV-1a over what makes two stacks equal. Collisions are told apart by equal_stacks.
std::uint64_t stack_hash(const SnapshotGreenlet& of) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  auto mix = [&hash](std::uint64_t word) { hash = (hash ^ word) * 0x100000001b3U, hash ^= hash >> 29; };
  mix(static_cast<std::uint64_t>(of.greenlet.state));
  mix(static_cast<std::uint64_t>(of.end));
  for (const auto* frames : {&of.frames, &of.python_frames}) {
    for (const Frame& frame : *frames) {
      mix(frame.kind == Frame::Kind::native ? frame.pc
                                            : std::hash<std::string_view>()(frame.function) + frame.line);
    }
  }
  return hash;
}

bool equal_frames(const Frame& a, const Frame& b) {
  if (a.kind != b.kind || a.pc != b.pc) return false;
  return a.kind == Frame::Kind::native || (a.line == b.line && a.function == b.function && a.file == b.file);
}

bool equal_stacks(const SnapshotGreenlet& a, const SnapshotGreenlet& b) {
  return a.greenlet.state == b.greenlet.state && a.end == b.end &&
         std::ranges::equal(a.frames, b.frames, equal_frames) &&
         std::ranges::equal(a.python_frames, b.python_frames, equal_frames);
}

}  // namespace

void count_states(Snapshot& snapshot) {
  SnapshotStats& stats = snapshot.stats;
  stats.unstarted = stats.finished = stats.running = stats.suspended = stats.orphaned = stats.incomplete = 0;
  stats.greenlets = snapshot.greenlets.size();
  for (const SnapshotGreenlet& entry : snapshot.greenlets) {
    switch (entry.greenlet.state) {
      case State::unstarted:
        ++stats.unstarted;
        break;
      case State::finished:
        ++stats.finished;
        break;
      case State::running:
        ++stats.running;
        break;
      case State::suspended:
        ++stats.suspended;
        break;
      case State::orphaned:
        ++stats.orphaned;
        break;
    }
    if (entry.end == End::truncated || entry.end == End::error) ++stats.incomplete;
  }
}

std::string why_empty(const Snapshot& snapshot) {
  const std::string program =
      snapshot.target.executable.empty() ? "this program" : snapshot.target.executable;
  if (!snapshot.providers.empty()) return "there are no greenlets in " + program + " at present";
  return "there are no greenlets in " + program +
         ": it has loaded neither libcoppice nor Python's greenlet extension";
}

std::vector<Group> group_equal_stacks(const Snapshot& snapshot) {
  std::vector<Group> groups;
  std::unordered_multimap<std::uint64_t, std::size_t> group_of_hash;
  for (std::size_t i = 0; i < snapshot.greenlets.size(); ++i) {
    const SnapshotGreenlet& greenlet = snapshot.greenlets[i];
    const std::uint64_t hash = stack_hash(greenlet);
    auto [first, last] = group_of_hash.equal_range(hash);
    auto same = std::find_if(first, last, [&](const auto& entry) {
      return equal_stacks(snapshot.greenlets[groups[entry.second].members.front()], greenlet);
    });
    if (same != last) {
      groups[same->second].members.push_back(i);
    } else {
      group_of_hash.emplace(hash, groups.size());
      groups.push_back({{i}});
    }
  }
  std::ranges::sort(groups, [](const Group& a, const Group& b) {
    if (a.members.size() != b.members.size()) return a.members.size() > b.members.size();
    return a.members.front() < b.members.front();
  });
  return groups;
}

}  // namespace coppice::inspect
