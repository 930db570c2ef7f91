#include "tests/oracle/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace coppice::oracle {

namespace {

constexpr std::size_t differences_kept = 10;
/// More frames than this are never inside of zoo_park: switch_away, what it calls, the runtime's switch.
constexpr std::size_t most_switch_frames = 16;

/// Walked from pc and sp alone, and ended where that was not enough.
bool is_cut(const inspect::SnapshotGreenlet& found) {
  return found.greenlet.state == inspect::State::running && found.end == inspect::End::truncated &&
         !found.greenlet.registers.known(inspect::x86_64::rbp);
}

/// What is wrong with the frames [inner, end), which should be the first of the announced ones, or empty.
std::string difference_from(std::size_t inner, const std::vector<AnnouncedFrame>& announced,
                            const std::vector<inspect::Frame>& found) {
  for (std::size_t i = 0; inner + i < found.size(); ++i) {
    const AnnouncedFrame& expected = announced[i];
    const inspect::Frame& frame = found[inner + i];
    if (frame.pc != expected.pc)
      return fmt::format("frame {}: pc {:#x}, announced {:#x}", inner + i, frame.pc, expected.pc);
    if (frame.sp != expected.sp)
      return fmt::format("frame {}: sp {:#x}, announced {:#x}", inner + i, frame.sp, expected.sp);
    if (frame.exact != expected.exact) return fmt::format("frame {}: exact is {}", inner + i, frame.exact);
  }
  return {};
}

/// Index of the frame of zoo_park, or how many frames there are when the walk did not come that far.
std::size_t find_park(const AnnouncedGreenlet& announced, const std::vector<inspect::Frame>& found) {
  const auto is_park = [&](const inspect::Frame& frame) { return frame.pc == announced.frames.front().pc; };
  return static_cast<std::size_t>(std::find_if(found.begin(), found.end(), is_park) - found.begin());
}

/// What is wrong with one greenlet's frames, or empty.
std::string difference_of_frames(const AnnouncedGreenlet& announced, const inspect::SnapshotGreenlet& found,
                                 Address resume_pc) {
  if (announced.frames.empty()) return found.frames.empty() ? "" : "has frames";
  if (is_cut(found)) {
    const std::size_t inner = find_park(announced, found.frames);
    if (found.frames.empty() || found.frames.size() > inner + announced.frames.size())
      return "cut, but not short";
    return difference_from(inner, announced.frames, found.frames);
  }
  if (found.error) return fmt::format("{} at {:#x}", found.error->message, found.error->address);
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
  return difference_from(inner, announced.frames, found.frames);
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

void count(const AnnouncedGreenlet& announced, const inspect::SnapshotGreenlet& found, Comparison& result) {
  ++result.greenlets;
  if (announced.frames.empty()) return;
  ++result.stacks;
  const std::size_t inner = find_park(announced, found.frames);
  result.frames += found.frames.size() - inner;
  result.switch_frames += inner;
  if (is_cut(found)) ++result.cut;
  if (found.greenlet.state != inspect::State::suspended) return;
  const inspect::Slice& slice = found.greenlet.slice;
  if (slice.saved == 0 && slice.size() > 0) ++result.unsaved;
  if (slice.saved > 0 && slice.saved < slice.size()) ++result.partly_saved;
}

}  // namespace

void note_difference(Comparison& comparison, const std::string& what) {
  ++comparison.differing;
  if (comparison.differences.size() < differences_kept) comparison.differences.push_back(what);
}

Comparison compare(const Announcement& announcement, const inspect::Snapshot& snapshot) {
  Comparison result;
  const auto differs = [&](const std::string& what) { note_difference(result, what); };
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
    count(announced, greenlet, result);
    std::vector<Address> pcs;
    pcs.reserve(greenlet.frames.size());
    for (const inspect::Frame& frame : greenlet.frames) pcs.push_back(frame.pc);
    if (!pcs.empty()) stacks.insert(std::move(pcs));
  }
  for (const auto& [id, greenlet] : found) differs(id + " " + greenlet->greenlet.name + " was not announced");
  result.distinct_stacks = stacks.size();
  return result;
}

}  // namespace coppice::oracle
