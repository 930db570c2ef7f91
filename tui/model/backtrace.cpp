#include "tui/model/backtrace.hpp"

#include <fmt/format.h>

#include "inspect/export/text.hpp"
#include "tui/model/columns.hpp"

namespace coppice::tui {
namespace {

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

Line frame_line(const inspect::Frame& frame, std::size_t number, std::size_t number_width, Charset charset) {
  Line line;
  line.add(fmt::format("{:<{}} ", fmt::format("#{}", number), number_width + 1), Style::label);
  if (frame.kind == inspect::Frame::Kind::python) {
    line.add(fmt::format("{:<18} ", "python"), Style::dim);
  } else if (frame.inlined) {
    line.add(fmt::format("{:<18} ", "inlined"), Style::inlined);
  } else {
    line.add(fmt::format("{:#018x} ", frame.pc), Style::dim);
  }
  line.add(printable(frame.title(), charset), frame.inlined ? Style::inlined : Style::function);
  if (frame.signal_trampoline) line.add(" <signal handler called>", Style::warning);
  if (!frame.file.empty()) {
    line.add(" at ", Style::dim);
    // The name alone: paths are long, and gldump prints them.
    const std::string file(base_name(frame.file));
    line.add(printable(frame.line > 0 ? fmt::format("{}:{}", file, frame.line) : file, charset),
             Style::source);
  } else if (!frame.function.empty() && !frame.module.empty()) {
    line.add(" in ", Style::dim);
    line.add(printable(base_name(frame.module), charset), Style::source);
  }
  return line;
}

/// The reason that is known best: the walk's own, else the reading's; empty when there is none.
std::string reason(const inspect::SnapshotGreenlet& greenlet) {
  if (greenlet.error) return inspect::describe(*greenlet.error);
  if (greenlet.greenlet.error) return inspect::describe(*greenlet.greenlet.error);
  return {};
}

/// How the backtrace ended, and why; in the words of gldump.
Line end_line(const inspect::SnapshotGreenlet& greenlet, Charset charset) {
  const std::string why = reason(greenlet);
  switch (greenlet.end) {
    case inspect::End::base:
      // The walk is whole, but something else about the greenlet could not be read.
      if (!why.empty()) return {printable("base (" + why + ")", charset), Style::warning};
      return {"base", Style::dim};
    case inspect::End::truncated:
      return {printable(inspect::early_end(greenlet, why), charset), Style::warning};
    case inspect::End::error:
      return {printable(inspect::early_end(greenlet, why), charset), Style::bad};
    case inspect::End::unwalked:
      break;
  }
  if (!why.empty()) return {printable("not walked: " + why, charset), Style::warning};
  switch (greenlet.greenlet.state) {
    case inspect::State::unstarted:
      return {"not started yet: no stack", Style::dim};
    case inspect::State::finished:
      return {"finished: no stack", Style::dim};
    default:
      return {"not walked", Style::warning};
  }
}

}  // namespace

Line backtrace_title(const inspect::SnapshotGreenlet& greenlet, Charset charset) {
  const auto& g = greenlet.greenlet;
  std::string text = "greenlet " + g.id;
  if (!g.name.empty()) text += fmt::format(" \"{}\"", g.name);
  text += fmt::format(", {}{}", g.main ? "main, " : "", inspect::name(g.state));
  if (const std::string waiting = inspect::waiting_text(g); !waiting.empty())
    text += ", waiting for " + waiting;
  if (g.spawner) text += ", spawned by " + *g.spawner;
  return {printable(text, charset), Style::pane_title};
}

std::vector<Line> backtrace_lines(const inspect::SnapshotGreenlet& greenlet, Charset charset) {
  std::vector<Line> lines;
  lines.reserve(greenlet.frames.size() + 1);
  const auto add = [&lines, charset](const std::vector<inspect::Frame>& frames) {
    const std::size_t digits = std::to_string(frames.size()).size();
    for (std::size_t i = 0; i < frames.size(); ++i)
      lines.push_back(frame_line(frames[i], i, digits, charset));
  };
  add(greenlet.frames);
  lines.push_back(end_line(greenlet, charset));
  if (!greenlet.unmerged.empty()) {
    lines.emplace_back(printable("Python frames, not merged: " + greenlet.unmerged, charset), Style::warning);
    add(greenlet.python_frames);
  }
  if (greenlet.python_error) {
    lines.emplace_back(
        printable("Python frames missing: " + inspect::describe(*greenlet.python_error), charset),
        Style::warning);
  }
  return lines;
}

}  // namespace coppice::tui
