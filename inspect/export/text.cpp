#include "inspect/export/text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "inspect/base/printable.hpp"
#include "inspect/export/paint.hpp"

namespace coppice::inspect {
namespace {

/// How many ids the heading of a group names before it says "...": JSON has them all.
constexpr std::size_t ids_shown = 16;

std::string_view state_color(State state) {
  switch (state) {
    case State::running:
      return green;
    case State::suspended:
      return cyan;
    case State::orphaned:
      return red;
    case State::unstarted:
    case State::finished:
      return dim;
  }
  return dim;
}

std::string slice_text(const Greenlet& greenlet) {
  if (greenlet.state != State::suspended && greenlet.state != State::orphaned) return {};
  const Slice& slice = greenlet.slice;
  if (slice.size() == 0) return {};  // a torn greenlet, of which not even this could be read
  if (slice.saved == 0) return fmt::format(", slice {} bytes (all on the thread's stack)", slice.size());
  if (slice.unsaved() == 0) return fmt::format(", slice {} bytes (all saved)", slice.size());
  return fmt::format(", slice {} bytes ({} saved, {} on the thread's stack)", slice.size(), slice.saved,
                     slice.unsaved());
}

/// What a greenlet runs, and where it was spawned.
std::string origin_text(const SnapshotGreenlet& entry, const TextStyle& style) {
  if (entry.origin_error) {
    return "    " +
           paint(style.color, red, "function and spawner missing: " + describe(*entry.origin_error)) + "\n";
  }
  if (!entry.origin) return {};
  const Origin& origin = *entry.origin;
  std::string text;
  if (!origin.function.empty()) {
    text += "    runs " + paint(style.color, yellow, printable(origin.function)) + "(" +
            printable(origin.arguments) + ")";
    if (origin.minimal_ident) text += fmt::format(", minimal_ident {}", *origin.minimal_ident);
    text += "\n";
  }
  text += "    spawned";
  if (entry.greenlet.spawner) text += " by greenlet " + *entry.greenlet.spawner;
  if (!origin.stack.empty()) {
    const Frame& place = origin.stack.front();
    text += fmt::format(" at {}:{}", paint(style.color, green, printable(place.file)), place.line);
    text += " in " + paint(style.color, yellow, printable(place.function));
  }
  return text + "\n";
}

/// The local variables of a frame, one a line.
std::string locals_text(const PythonLocals& locals, const TextStyle& style) {
  std::string text;
  const auto add = [&text](const std::string& line) { text += "        " + line + "\n"; };
  for (const PythonLocal& local : locals.locals) {
    add(paint(style.color, cyan, printable(local.name)) + " = " + printable(local.value));
  }
  if (locals.left_out > 0) add(paint(style.color, dim, fmt::format("and {} more", locals.left_out)));
  if (locals.error) add(paint(style.color, red, "variables missing: " + describe(*locals.error)));
  return text;
}

bool write_frames(const std::vector<Frame>& frames, const TextStyle& style, const Sink& sink) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    std::string text = frame_line(frames[i], i, style) + "\n";
    if (frames[i].locals) text += locals_text(*frames[i].locals, style);
    if (!sink(text)) return false;
  }
  return true;
}

bool write_stack(const SnapshotGreenlet& greenlet, const TextStyle& style, const Sink& sink) {
  if (!write_frames(greenlet.frames, style, sink)) return false;
  if (!sink("    " + end_line(greenlet, style) + "\n")) return false;
  if (!greenlet.unmerged.empty()) {
    if (!sink("    " + paint(style.color, red, "Python frames, not merged: " + greenlet.unmerged) + "\n"))
      return false;
    if (!write_frames(greenlet.python_frames, style, sink)) return false;
  }
  if (!greenlet.python_error) return true;
  return sink("    " + paint(style.color, red, "Python frames missing: " + describe(*greenlet.python_error)) +
              "\n");
}

}  // namespace

std::string describe(const Error& error) {
  const std::string hex = fmt::format("{:x}", error.address);
  std::string message = printable(error.message.empty() ? name(error.code) : error.message);
  if (error.address == 0 || message.find(hex) != std::string::npos) return message;
  return fmt::format("{} at 0x{}", message, hex);
}

std::string display_name(const Greenlet& greenlet) {
  if (!greenlet.name.empty() || greenlet.provider != "cpython") return printable(greenlet.name);
  const std::string_view type = greenlet.type;
  return printable(type.substr(type.rfind('.') + 1));
}

std::string waiting_text(const Greenlet& greenlet) {
  if (!greenlet.waiting) return {};
  if (!greenlet.waiting->detail.empty()) return printable(greenlet.waiting->detail);
  return fmt::format("{} {}", printable(greenlet.waiting->kind), greenlet.waiting->value);
}

std::string header_line(const SnapshotGreenlet& entry, const TextStyle& style) {
  const Greenlet& greenlet = entry.greenlet;
  std::string line = "Greenlet " + paint(style.color, bold, greenlet.id);
  if (!greenlet.name.empty()) line += " " + paint(style.color, bold, '"' + printable(greenlet.name) + '"');
  if (greenlet.main) line += " (main)";
  if (greenlet.name.empty() && greenlet.provider == "cpython") line += " " + printable(greenlet.type);
  line += " " + paint(style.color, state_color(greenlet.state), name(greenlet.state));
  if (greenlet.tid) line += fmt::format(", thread {}", *greenlet.tid);
  if (greenlet.waiting) line += ", waiting for " + waiting_text(greenlet);
  return line + slice_text(greenlet);
}

std::string process_line(const SnapshotTarget& target, const TextStyle& style) {
  const std::string& program = target.command_line.empty() ? target.executable : target.command_line;
  std::string line = fmt::format("Process {}: {}", target.pid, printable(program));
  if (style.width > 0) line = cut_to_cells(line, style.width);
  return paint(style.color, bold, line);
}

std::string frame_line(const Frame& frame, std::size_t number, const TextStyle& style) {
  const std::string base_name = printable(frame.module.substr(frame.module.find_last_of('/') + 1));
  std::string line = fmt::format("{:<4}", fmt::format("#{}", number));
  line += paint(style.color, blue,
                frame.kind == Frame::Kind::python ? fmt::format("{:<18}", "python")
                                                  : fmt::format("{:#018x}", frame.pc)) +
          " in ";
  if (frame.signal_trampoline) line += "<signal handler called> ";
  if (!frame.function.empty()) {
    line += paint(style.color, yellow, printable(frame.function));
  } else if (!base_name.empty() && frame.offset) {
    line += fmt::format("{}+{:#x}", base_name, *frame.offset);
  } else {
    line += "??";
  }
  if (!frame.file.empty()) {
    line += " at " + paint(style.color, green, printable(frame.file));
    if (frame.line > 0) line += fmt::format(":{}", frame.line);
  } else if (!frame.function.empty() && !base_name.empty()) {
    line += " from " + base_name;
  }
  if (frame.inlined) line += paint(style.color, dim, " (inlined)");
  return line;
}

std::string early_end(const SnapshotGreenlet& greenlet, std::string_view why) {
  const bool python_goes_on = !greenlet.frames.empty() &&
                              greenlet.frames.back().kind == Frame::Kind::python && !greenlet.python_error;
  return fmt::format("{}{}: {}", python_goes_on ? "native frames " : "",
                     greenlet.end == End::error ? "error" : "truncated",
                     why.empty() ? "for a reason not recorded" : why);
}

std::string end_line(const SnapshotGreenlet& greenlet, const TextStyle& style) {
  const std::string why = greenlet.error ? describe(*greenlet.error) : std::string();
  switch (greenlet.end) {
    case End::base:
      // The walk is whole, but something else about the greenlet could not be read.
      return paint(style.color, dim, "base") +
             (why.empty() ? why : paint(style.color, red, " (" + why + ")"));
    case End::truncated:
    case End::error:
      return paint(style.color, red, early_end(greenlet, why));
    case End::unwalked:
      break;
  }
  if (!why.empty()) return paint(style.color, red, "not walked: " + why);
  switch (greenlet.greenlet.state) {
    case State::unstarted:
      return paint(style.color, dim, "no stack: never switched to");
    case State::finished:
      return paint(style.color, dim, "no stack: finished");
    default:
      return paint(style.color, dim, "not walked");
  }
}

bool write_backtraces(const Snapshot& snapshot, const TextStyle& style, const Sink& sink) {
  bool first = true;
  for (const SnapshotGreenlet& greenlet : snapshot.greenlets) {
    const std::string separator = first ? "" : "\n";
    first = false;
    if (!sink(separator + header_line(greenlet, style) + "\n" + origin_text(greenlet, style))) return false;
    if (!write_stack(greenlet, style, sink)) return false;
  }
  return true;
}

bool write_groups(const Snapshot& snapshot, const TextStyle& style, const Sink& sink) {
  bool first = true;
  for (const Group& group : group_equal_stacks(snapshot)) {
    const SnapshotGreenlet& example = snapshot.greenlets[group.members.front()];
    const std::size_t count = group.members.size();
    std::string line = first ? "" : "\n";
    first = false;
    line += paint(style.color, bold, fmt::format("{} greenlet{}", count, count == 1 ? "" : "s")) + ": ";
    for (std::size_t i = 0; i < std::min(count, ids_shown); ++i) {
      if (i > 0) line += ", ";
      line += snapshot.greenlets[group.members[i]].greenlet.id;
    }
    if (count > ids_shown) line += ", ...";
    const State state = example.greenlet.state;
    line += " (" + paint(style.color, state_color(state), name(state)) + ")\n";
    if (!sink(line) || !write_stack(example, style, sink)) return false;
  }
  return true;
}

}  // namespace coppice::inspect
