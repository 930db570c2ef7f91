// `gldump list`: a table whose last column gives way to the width of the terminal.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "inspect/base/printable.hpp"
#include "inspect/export/paint.hpp"
#include "inspect/export/text.hpp"

namespace coppice::inspect {
namespace {

enum Column : std::uint8_t {
  id,
  state,
  thread,
  switches,
  saved,
  unsaved,
  waiting,
  greenlet_name,
  column_count
};

using Row = std::array<std::string, column_count>;

constexpr std::array<bool, column_count> right_aligned = {true, false, true, true, true, true, false, false};

Row heading() {
  return {"ID", "STATE", "THREAD", "SWITCHES", "SAVED", "ON STACK", "WAITING FOR", "NAME"};
}

Row row_of(const SnapshotGreenlet& entry) {
  const Greenlet& greenlet = entry.greenlet;
  const bool sliced = asleep(greenlet.state) && greenlet.slice.size() > 0;
  Row row;
  row[id] = greenlet.id;
  row[state] = name(greenlet.state);
  row[thread] = greenlet.tid ? fmt::to_string(*greenlet.tid) : "-";
  row[switches] = greenlet.counted() ? fmt::to_string(greenlet.switches) : "-";
  row[saved] = sliced ? fmt::to_string(greenlet.slice.saved) : "-";
  row[unsaved] = sliced ? fmt::to_string(greenlet.slice.unsaved()) : "-";
  row[waiting] = greenlet.waiting ? waiting_text(greenlet) : "-";
  row[greenlet_name] = display_name(greenlet);
  if (greenlet.main) row[greenlet_name] += row[greenlet_name].empty() ? "(main)" : " (main)";
  if (entry.error) row[greenlet_name] += " [" + describe(*entry.error) + "]";
  return row;
}

std::string line_of(const Row& row, const std::array<std::size_t, column_count>& widths, std::size_t limit) {
  std::string line;
  for (std::size_t column = 0; column < column_count; ++column) {
    if (column > 0) line += "  ";
    const std::string pad(widths[column] - cells(row[column]), ' ');
    if (right_aligned[column]) line += pad;
    line += row[column];
    if (!right_aligned[column] && column + 1 < column_count) line += pad;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return limit > 0 ? cut_to_cells(line, limit) : line;
}

}  // namespace

bool write_list(const Snapshot& snapshot, const TextStyle& style, const Sink& sink) {
  if (snapshot.greenlets.empty()) return true;
  std::array<std::size_t, column_count> widths{};
  const auto measure = [&widths](const Row& row) {
    for (std::size_t i = 0; i < column_count; ++i) widths[i] = std::max(widths[i], cells(row[i]));
  };
  measure(heading());
  for (const SnapshotGreenlet& greenlet : snapshot.greenlets) measure(row_of(greenlet));

  if (!sink(paint(style.color, bold, line_of(heading(), widths, style.width)) + "\n")) return false;
  for (const SnapshotGreenlet& greenlet : snapshot.greenlets) {
    const std::string line = line_of(row_of(greenlet), widths, style.width);
    const bool asleep_or_running =
        greenlet.greenlet.state != State::unstarted && greenlet.greenlet.state != State::finished;
    const std::string_view shade = greenlet.error                              ? red
                                   : greenlet.greenlet.state == State::running ? green
                                                                               : dim;
    const bool plain = asleep_or_running && !greenlet.error && greenlet.greenlet.state != State::running;
    if (!sink(paint(style.color && !plain, shade, line) + "\n")) return false;
  }
  return true;
}

}  // namespace coppice::inspect
