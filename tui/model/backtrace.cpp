#include "tui/model/backtrace.hpp"

#include <fmt/format.h>

#include "tui/model/columns.hpp"
#include "tui/model/sample.hpp"

namespace coppice::tui {
namespace {

std::string base_name(const std::string& path) {
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
    line.add(printable(frame.line > 0 ? fmt::format("{}:{}", frame.file, frame.line) : frame.file, charset),
             Style::source);
  } else if (!frame.function.empty() && !frame.module.empty()) {
    line.add(" in ", Style::dim);
    line.add(printable(base_name(frame.module), charset), Style::source);
  }
  return line;
}

std::string error_text(const inspect::Error& error) {
  std::string text = fmt::format("{}: {}", inspect::name(error.code), error.message);
  if (error.address != 0) text += fmt::format(" (at {:#x})", error.address);
  return text;
}

/// The reason that is known best: the walk's own, else the reading's.
std::string reason(const inspect::SnapshotGreenlet& greenlet, const char* without) {
  if (greenlet.error) return error_text(*greenlet.error);
  if (greenlet.greenlet.error) return error_text(*greenlet.greenlet.error);
  return without;
}

Line end_line(const inspect::SnapshotGreenlet& greenlet, Charset charset) {
  switch (greenlet.end) {
    case inspect::End::base:
      return {"end: base, the outermost frame it owns", Style::dim};
    case inspect::End::truncated:
      return {printable("end: truncated, " + reason(greenlet, "for an unknown reason"), charset),
              Style::warning};
    case inspect::End::error:
      return {printable("end: error, " + reason(greenlet, "of an unknown kind"), charset), Style::bad};
    case inspect::End::unwalked:
      break;
  }
  if (greenlet.greenlet.state == inspect::State::unstarted) return {"not started yet: no stack", Style::dim};
  if (greenlet.greenlet.state == inspect::State::finished) return {"finished: no stack", Style::dim};
  return {printable("not walked: " + reason(greenlet, "no reason was given"), charset), Style::warning};
}

}  // namespace

Line backtrace_title(const inspect::SnapshotGreenlet& greenlet, Charset charset) {
  const auto& g = greenlet.greenlet;
  std::string text = "greenlet " + g.id;
  if (!g.name.empty()) text += fmt::format(" \"{}\"", g.name);
  text += fmt::format(", {}{}", g.main ? "main, " : "", inspect::name(g.state));
  if (const std::string waiting = waiting_text(g); !waiting.empty()) text += ", waiting for " + waiting;
  if (g.spawner) text += ", spawned by " + *g.spawner;
  return {printable(text, charset), Style::pane_title};
}

std::vector<Line> backtrace_lines(const inspect::SnapshotGreenlet& greenlet, Charset charset) {
  std::vector<Line> lines;
  lines.reserve(greenlet.frames.size() + 1);
  const std::size_t digits = std::to_string(greenlet.frames.size()).size();
  for (std::size_t i = 0; i < greenlet.frames.size(); ++i) {
    lines.push_back(frame_line(greenlet.frames[i], i, digits, charset));
  }
  lines.push_back(end_line(greenlet, charset));
  return lines;
}

}  // namespace coppice::tui
