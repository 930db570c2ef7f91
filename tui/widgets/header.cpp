#include "tui/widgets/header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tui/format/units.hpp"
#include "tui/model/columns.hpp"

namespace coppice::tui {
namespace {

struct StateCount {
  inspect::State state;
  std::uint64_t count;
};

std::array<StateCount, 5> counts(const inspect::SnapshotStats& stats) {
  return {{{inspect::State::running, stats.running},
           {inspect::State::suspended, stats.suspended},
           {inspect::State::unstarted, stats.unstarted},
           {inspect::State::finished, stats.finished},
           {inspect::State::orphaned, stats.orphaned}}};
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Line process_line(const Sample& sample, Charset charset) {
  const auto& target = sample.snapshot.target;
  Line line;
  line.add("gltop ", Style::label);
  line.add(printable(base_name(target.executable), charset), Style::value);
  line.add(fmt::format(" {} ", target.pid), Style::value);
  line.add(printable(target.command_line, charset), Style::plain);
  return line;
}

/// htop's meter: a bar in which every state has its share. A state that occurs is at least one mark long.
void add_bar(Line& line, const inspect::SnapshotStats& stats, std::size_t columns) {
  line.add("[", Style::value);
  std::size_t left = columns;
  const double total = static_cast<double>(std::max<std::uint64_t>(stats.greenlets, 1));
  for (const auto& [state, count] : counts(stats)) {
    if (count == 0) continue;
    const auto share =
        static_cast<std::size_t>(static_cast<double>(count) / total * static_cast<double>(columns));
    const std::size_t marks = std::min(left, std::max<std::size_t>(share, 1));
    line.add(std::string(marks, '|'), state_style(state));
    left -= marks;
  }
  line.add(std::string(left, ' '), Style::plain);
  line.add("]", Style::value);
}

Line greenlets_line(const Sample& sample, std::size_t columns) {
  const auto& stats = sample.snapshot.stats;
  Line line;
  line.add("Greenlets ", Style::label);
  line.add(grouped(stats.greenlets), Style::value);
  if (columns >= 100 && stats.greenlets > 0) {
    line.add(" ");
    add_bar(line, stats, 30);
  }
  for (const auto& [state, count] : counts(stats)) {
    if (count == 0 && (state == inspect::State::orphaned || columns < 80)) continue;
    line.add("  ").add(grouped(count), Style::value);
    line.add(fmt::format(" {}", inspect::name(state)), state_style(state));
  }
  return line;
}

std::string per_second(const std::optional<double>& rate, std::string (*shorten)(double)) {
  return rate ? shorten(*rate) + "/s" : "-";
}

Line activity_line(const Sample& sample) {
  Line line;
  line.add("Switches ", Style::label).add(per_second(sample.switches_per_second, short_number), Style::value);
  line.add("  Copied ", Style::label).add(per_second(sample.bytes_per_second, short_bytes), Style::value);
  line.add("  Slices ", Style::label);
  line.add(short_bytes(static_cast<double>(sample.slice_bytes)), Style::value);
  line.add("  Threads ", Style::label).add(grouped(sample.snapshot.threads.size()), Style::value);
  if (const auto incomplete = sample.snapshot.stats.incomplete; incomplete > 0) {
    line.add("  Incomplete ", Style::label).add(grouped(incomplete), Style::warning);
  }
  return line;
}

Line reading_line(const Sample& sample, std::chrono::milliseconds interval, bool paused) {
  const auto& stats = sample.snapshot.stats;
  Line line;
  line.add("Torn reads ", Style::label)
      .add(grouped(stats.torn), stats.torn > 0 ? Style::warning : Style::value);
  line.add(fmt::format(" of {} so far", grouped(sample.torn_so_far)), Style::dim);
  line.add("  Lost ", Style::label).add(grouped(stats.lost), stats.lost > 0 ? Style::bad : Style::value);
  line.add("  Snapshot ", Style::label).add(short_duration(sample.cost), Style::value);
  const auto phase = [](std::uint64_t ns) { return short_duration(std::chrono::nanoseconds(ns)); };
  line.add(fmt::format(" (read {}, unwind {}, names {})", phase(stats.read_ns), phase(stats.unwind_ns),
                       phase(stats.symbolize_ns)),
           Style::dim);
  line.add("  every ", Style::label).add(short_duration(interval), Style::value);
  if (paused) line.add("  PAUSED", Style::warning);
  return line;
}

}  // namespace

std::vector<Line> Header::render(Size size, Charset charset) const {
  std::vector<Line> lines{process_line(*sample, charset), greenlets_line(*sample, size.columns),
                          activity_line(*sample), reading_line(*sample, interval, paused)};
  lines.resize(std::min(lines.size(), size.rows));
  for (Line& line : lines) line.cut(size.columns, charset);
  return lines;
}

}  // namespace coppice::tui
