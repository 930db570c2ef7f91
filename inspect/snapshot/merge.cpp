#include "inspect/snapshot/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

namespace coppice::inspect {
namespace {

constexpr std::string_view evaluator_name = "_PyEval_EvalFrameDefault";

/// The frames of one physical C frame: those inlined into it, and itself at the end.
struct Physical {
  std::size_t first = 0, last = 0;  ///< indices; `last` is the frame itself
};

std::vector<Physical> physical_frames(std::span<const Frame> frames) {
  std::vector<Physical> physical;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::size_t first = i;
    while (frames[i].inlined && i + 1 < frames.size()) ++i;
    physical.push_back({first, i});
  }
  return physical;
}

Frame to_frame(const PythonFrame& python) {
  Frame frame;
  frame.kind = Frame::Kind::python;
  frame.function = python.function;
  frame.file = python.file;
  frame.line = python.line;
  frame.locals = python.locals;
  return frame;
}

/// What one C call of the evaluator executes.
struct Run {
  std::span<const PythonFrame> frames;
  Address entry_frame = 0;  ///< 0: not known
};

std::vector<Run> runs_of(std::span<const PythonFrame> frames) {
  std::vector<Run> runs;
  std::size_t first = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!frames[i].entry && i + 1 < frames.size()) continue;
    runs.push_back({frames.subspan(first, i + 1 - first), frames[i].entry_frame});
    first = i + 1;
  }
  return runs;
}

bool is_evaluator(const Frame& frame, const Evaluator& evaluator) {
  const std::string_view function = frame.function;
  if (function.starts_with(evaluator_name)) {
    // The compiler's parts of it are called NAME.cold and the like.
    return function.size() == evaluator_name.size() || function[evaluator_name.size()] == '.';
  }
  const Address looked_up = frame.exact ? frame.pc : frame.pc - 1;
  return evaluator.start != 0 && looked_up - evaluator.start < evaluator.size;
}

/// Which physical frame runs each run; shorter than the runs when a stack was not walked to its base.
struct Matching {
  std::vector<std::size_t> frame_of_run;
  std::string impossible;  ///< why there is none
};

/// What is to be matched.
struct Stacks {
  std::span<const Frame> frames;
  std::span<const Physical> physical;
  std::span<const Run> runs;
  bool whole = false;         ///< the C stack was walked to its base
  bool python_whole = false;  ///< all Python frames are known
};

/// By the entry frames, each of which lies in the C frame that runs it.
Matching match_by_address(const Stacks& stacks, const Evaluator& evaluator) {
  Matching matching;
  std::size_t at = 0;
  for (const Run& run : stacks.runs) {
    const auto runs_it = [&](const Physical& physical) {
      const Frame& frame = stacks.frames[physical.last];
      if (run.entry_frame == 0) return is_evaluator(frame, evaluator);
      return run.entry_frame >= frame.sp && run.entry_frame < frame.cfa;
    };
    while (at < stacks.physical.size() && !runs_it(stacks.physical[at])) ++at;
    if (at == stacks.physical.size()) {
      if (!stacks.whole) return matching;
      return {{}, fmt::format("no C frame holds the evaluator's entry frame at {:#x}", run.entry_frame)};
    }
    matching.frame_of_run.push_back(at++);
  }
  return matching;
}

/// By number: as many C frames of the evaluator as there are runs. Both begin innermost, so of stacks that
/// break off the beginnings belong together.
Matching match_by_count(const Stacks& stacks, const Evaluator& evaluator) {
  Matching matching;
  for (std::size_t i = 0; i < stacks.physical.size(); ++i) {
    if (is_evaluator(stacks.frames[stacks.physical[i].last], evaluator)) matching.frame_of_run.push_back(i);
  }
  const std::size_t found = matching.frame_of_run.size();
  const std::size_t runs = stacks.runs.size();
  if ((found < runs && stacks.whole) || (found > runs && stacks.python_whole)) {
    return {{}, fmt::format("{} C frames of the evaluator, but {} runs of Python frames", found, runs)};
  }
  matching.frame_of_run.resize(std::min(found, runs));
  return matching;
}

/// Frames that are how every Python program runs, not what this one does.
bool is_machinery(const Frame& frame, const Evaluator& evaluator, bool has_python) {
  if (frame.module == evaluator.module) return true;
  const std::string_view module = frame.module;
  const std::string_view base = module.substr(module.rfind('/') + 1);
  // The greenlet extension, and of gevent what every wait goes through.
  constexpr std::array switchers{"_greenlet.", "_gevent_c_greenlet_primitives.", "_gevent_c_hub_local.",
                                 "_gevent_c_waiter."};
  if (std::ranges::any_of(switchers, [base](std::string_view name) { return base.starts_with(name); })) {
    return true;
  }
  // Offsets into the rest of gevent tell nobody anything that the Python frames around them do not.
  if (has_python && frame.function.empty() && base.starts_with("_gevent_")) return true;
  constexpr std::array starters{"__libc_start_main",
                                "__libc_start_call_main",
                                "__libc_start_main_impl",
                                "start_thread",
                                "clone",
                                "clone3",
                                "__clone",
                                "__clone3",
                                "_start"};
  return std::ranges::find(starters, std::string_view(frame.function)) != starters.end();
}

/// The listing: every run before the C frame that runs it, which itself only the native view shows.
std::vector<Frame> interleave(std::span<const Frame> native, std::span<const Physical> physical,
                              std::span<const Run> runs, const Matching& matching, const Evaluator& evaluator,
                              FrameChoice choice) {
  std::vector<Frame> listing;
  const auto add_run = [&listing](const Run& run) {
    for (const PythonFrame& frame : run.frames) listing.push_back(to_frame(frame));
  };
  std::size_t next = 0;
  for (std::size_t i = 0; i < physical.size(); ++i) {
    const bool runs_python = next < matching.frame_of_run.size() && matching.frame_of_run[next] == i;
    if (runs_python) add_run(runs[next++]);
    for (std::size_t at = physical[i].first; at <= physical[i].last; ++at) {
      const bool shown =
          choice == FrameChoice::native || (choice == FrameChoice::merged && !runs_python &&
                                            !is_machinery(native[at], evaluator, !runs.empty()));
      if (shown) listing.push_back(native[at]);
    }
  }
  // Of a stack that was not walked to its base the outer Python frames are known all the same.
  for (; next < runs.size(); ++next) add_run(runs[next]);
  return listing;
}

}  // namespace

std::vector<Frame> to_frames(const PythonStack& stack) {
  std::vector<Frame> frames;
  frames.reserve(stack.frames.size());
  for (const PythonFrame& frame : stack.frames) frames.push_back(to_frame(frame));
  return frames;
}

void merge_python(SnapshotGreenlet& entry, const PythonStack& python, const Evaluator& evaluator,
                  FrameChoice choice) {
  entry.python_error = python.error;
  if (choice == FrameChoice::python) {
    entry.frames = to_frames(python);
    return;
  }
  const std::vector<Physical> physical = physical_frames(entry.frames);
  const std::vector<Run> runs = runs_of(python.frames);
  const Stacks stacks{entry.frames, physical, runs, entry.end == End::base, !python.error};
  const bool by_address = std::ranges::any_of(runs, [](const Run& run) { return run.entry_frame != 0; });
  Matching matching = by_address ? match_by_address(stacks, evaluator) : match_by_count(stacks, evaluator);
  if (!matching.impossible.empty()) {
    entry.python_frames = to_frames(python);
    entry.unmerged = std::move(matching.impossible);
    return;
  }
  const bool only_machinery = runs.empty() && std::ranges::all_of(entry.frames, [&](const Frame& frame) {
                                return is_machinery(frame, evaluator, false);
                              });
  if (only_machinery) choice = FrameChoice::native;  // better than nothing
  entry.frames = interleave(entry.frames, physical, runs, matching, evaluator, choice);
}

}  // namespace coppice::inspect
