#include "tests/oracle/comparison.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

namespace coppice::oracle {

namespace {

constexpr std::size_t differences_kept = 10;
/// More frames than this are never between resume_pc and zoo_park: switch_to, switch_away and what they call.
constexpr std::size_t most_switch_frames = 16;

/// What is wrong with one greenlet's frames, or empty.
std::string difference_of_frames(const AnnouncedGreenlet& announced, const inspect::SnapshotGreenlet& found,
                                 Address resume_pc) {
  if (found.error) return fmt::format("{} at {:#x}", found.error->message, found.error->address);
  if (announced.frames.empty()) return found.frames.empty() ? "" : "has frames";
  if (found.end != inspect::End::base) return fmt::format("ended as {}", static_cast<int>(found.end));
  if (found.frames.size() <= announced.frames.size()) {
    return fmt::format("{} frames, announced {} and the switch", found.frames.size(),
                       announced.frames.size());
  }
  const std::size_t inner = found.frames.size() - announced.frames.size();
  if (inner > most_switch_frames) return fmt::format("{} frames more than announced", inner);
  if (announced.state == "suspended") {
    const inspect::Frame& innermost = found.frames.front();
    if (innermost.pc != resume_pc)
      return fmt::format("frame 0 is {:#x}, not resume_pc {:#x}", innermost.pc, resume_pc);
    if (innermost.sp != found.greenlet.slice.start) return fmt::format("frame 0 has sp {:#x}", innermost.sp);
  }
  for (std::size_t i = 0; i < announced.frames.size(); ++i) {
    const AnnouncedFrame& expected = announced.frames[i];
    const inspect::Frame& frame = found.frames[inner + i];
    if (frame.pc != expected.pc)
      return fmt::format("frame {}: pc {:#x}, announced {:#x}", inner + i, frame.pc, expected.pc);
    if (frame.sp != expected.sp)
      return fmt::format("frame {}: sp {:#x}, announced {:#x}", inner + i, frame.sp, expected.sp);
    if (frame.exact != expected.exact) return fmt::format("frame {}: exact is {}", inner + i, frame.exact);
  }
  return {};
}

std::string difference(const AnnouncedGreenlet& announced, const inspect::SnapshotGreenlet& found,
                       Address resume_pc) {
  const inspect::Greenlet& greenlet = found.greenlet;
  if (greenlet.name != announced.name) return "is named " + greenlet.name;
  if (inspect::name(greenlet.state) != announced.state)
    return std::string("is ") + inspect::name(greenlet.state);
  const pid_t tid = greenlet.nstid.value_or(greenlet.tid.value_or(0));
  if (tid != announced.tid) return fmt::format("is in thread {}", tid);
  return difference_of_frames(announced, found, resume_pc);
}

void count(const inspect::SnapshotGreenlet& found, std::size_t announced_frames, Comparison& result) {
  ++result.greenlets;
  if (announced_frames == 0) return;
  ++result.stacks;
  result.frames += announced_frames;
  result.switch_frames += found.frames.size() - announced_frames;
  if (found.greenlet.state != inspect::State::suspended) return;
  const inspect::Slice& slice = found.greenlet.slice;
  if (slice.saved == 0 && slice.size() > 0) ++result.unsaved;
  if (slice.saved > 0 && slice.saved < slice.size()) ++result.partly_saved;
}

}  // namespace

Comparison compare(const Announcement& announcement, const inspect::Snapshot& snapshot) {
  Comparison result;
  const auto differs = [&](const std::string& what) {
    ++result.differing;
    if (result.differences.size() < differences_kept) result.differences.push_back(what);
  };
  std::map<std::string, const inspect::SnapshotGreenlet*> found;
  for (const auto& greenlet : snapshot.greenlets) {
    if (!found.emplace(greenlet.greenlet.id, &greenlet).second)
      differs(greenlet.greenlet.id + " is there twice");
  }
  std::set<std::vector<Address>> stacks;
  for (const AnnouncedGreenlet& announced : announcement.greenlets) {
    const auto it = found.find(announced.id);
    if (it == found.end()) {
      differs(announced.id + " " + announced.name + " is missing");
      continue;
    }
    const inspect::SnapshotGreenlet& greenlet = *it->second;
    found.erase(it);
    if (const std::string what = difference(announced, greenlet, announcement.resume_pc); !what.empty()) {
      differs(fmt::format("{} {} ({}): {}", announced.id, announced.name, announced.state, what));
      continue;
    }
    count(greenlet, announced.frames.size(), result);
    std::vector<Address> pcs;
    for (const inspect::Frame& frame : greenlet.frames) pcs.push_back(frame.pc);
    if (!pcs.empty()) stacks.insert(std::move(pcs));
  }
  for (const auto& [id, greenlet] : found) differs(id + " " + greenlet->greenlet.name + " was not announced");
  result.distinct_stacks = stacks.size();
  return result;
}

}  // namespace coppice::oracle
