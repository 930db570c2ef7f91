#include "tui/model/columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>

#include "inspect/export/text.hpp"
#include "tui/format/function_name.hpp"
#include "tui/format/units.hpp"

namespace coppice::tui {
namespace {

/// Why there is no frame to show.
std::string no_frame_text(const inspect::SnapshotGreenlet& greenlet) {
  if (greenlet.error) return greenlet.error->message;
  if (greenlet.greenlet.error) return greenlet.greenlet.error->message;
  switch (greenlet.greenlet.state) {
    case inspect::State::unstarted:
      return "not started yet";
    case inspect::State::finished:
      return "finished";
    default:
      return "not walked";
  }
}

std::optional<std::chrono::nanoseconds> idle_time(const Sample& sample, const inspect::Greenlet& greenlet) {
  if (!greenlet.last_switch_unix_ns) return std::nullopt;
  return std::chrono::nanoseconds(sample.snapshot.stats.taken_unix_ns - *greenlet.last_switch_unix_ns);
}

bool has_slice(const inspect::Greenlet& greenlet) {
  return asleep(greenlet.state);
}

std::size_t natural_width(const Sample& sample, Column column) {
  switch (column) {
    case Column::id:
      return std::clamp<std::size_t>(sample.longest_id, 5, 18);
    case Column::name:
      return std::clamp<std::size_t>(sample.longest_name, 4, 20);
    case Column::state:
      return 10;
    case Column::thread:
      return 7;
    case Column::waiting:
      return std::clamp<std::size_t>(sample.longest_waiting, 8, 18);
    case Column::switches:
    case Column::slice:
      return 6;
    case Column::rate:
    case Column::idle:
      return 5;
    case Column::top:
      return 12;
  }
  return 0;
}

/// Whether a column would say anything at all.
bool useful(const Sample& sample, Column column) {
  if (column == Column::name) return sample.longest_name > 0;
  if (column == Column::waiting) return sample.longest_waiting > 0;
  if (column == Column::rate || column == Column::switches || column == Column::idle) return sample.counted;
  return true;
}

/// Gives what is waited for more room where the frames have plenty.
void widen_waiting(const Sample& sample, std::vector<PlacedColumn>& placed) {
  constexpr std::size_t frames = 48, most = 44;
  const auto waiting = std::ranges::find(placed, Column::waiting, &PlacedColumn::column);
  if (waiting == placed.end() || placed.back().width <= frames) return;
  const std::size_t wanted = std::min(sample.longest_waiting, most);
  if (wanted <= waiting->width) return;
  const std::size_t more = std::min(wanted - waiting->width, placed.back().width - frames);
  waiting->width += more;
  placed.back().width -= more;
}

/// A number to sort by, or nothing where it is unknown.
std::optional<double> sort_number(const Sample& sample, std::size_t index, Column column) {
  const auto& greenlet = sample.snapshot.greenlets[index].greenlet;
  switch (column) {
    case Column::state:
      return static_cast<double>(greenlet.state);
    case Column::thread:
      if (!greenlet.tid) return std::nullopt;
      return *greenlet.tid;
    case Column::slice:
      if (!has_slice(greenlet)) return std::nullopt;
      return static_cast<double>(greenlet.slice.size());
    case Column::rate:
      return sample.switch_rates[index];
    case Column::switches:
      if (!greenlet.counted()) return std::nullopt;
      return static_cast<double>(greenlet.switches);
    case Column::idle:
      if (const auto idle = idle_time(sample, greenlet)) return static_cast<double>(idle->count());
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

/// Text to sort by; empty where it is unknown.
std::string sort_text(const Sample& sample, std::size_t index, Column column) {
  const auto& greenlet = sample.snapshot.greenlets[index];
  if (column == Column::name) return inspect::display_name(greenlet.greenlet);
  if (column == Column::waiting) return inspect::waiting_text(greenlet.greenlet);
  return top_frames(greenlet);
}

bool is_text(Column column) {
  return column == Column::name || column == Column::waiting || column == Column::top;
}

/// Ids are spawn numbers or addresses in hex; either way numbers.
std::uint64_t id_number(std::string_view id) {
  int base = 10;
  if (id.starts_with("0x")) {
    id.remove_prefix(2);
    base = 16;
  }
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(id.data(), id.data() + id.size(), number, base);
  return failure == std::errc{} && end == id.data() + id.size() ? number
                                                                : std::numeric_limits<std::uint64_t>::max();
}

/// Sorts `order` by keys that may be unknown; equals keep their order.
template <class Value>
void sort_by_keys(std::vector<std::uint32_t>& order, const std::vector<std::optional<Value>>& keys,
                  bool descending) {
  // Not stable_sort: libstdc++ 12 implements it by what clang warns about as deprecated.
  std::vector<std::uint32_t> rank(keys.size());
  for (std::uint32_t place = 0; place < order.size(); ++place) rank[order[place]] = place;
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const auto& x = keys[a];
    const auto& y = keys[b];
    if (x.has_value() != y.has_value()) return x.has_value();
    if (x && *x != *y) return descending ? *y < *x : *x < *y;
    return rank[a] < rank[b];
  });
}

}  // namespace

const ColumnInfo& info(Column column) {
  return column_table.at(static_cast<std::size_t>(column));
}

std::optional<Column> column_by_key(std::string_view key) {
  for (const ColumnInfo& candidate : column_table) {
    if (candidate.key == key) return candidate.column;
  }
  return std::nullopt;
}

std::vector<PlacedColumn> place_columns(const Sample& sample, std::size_t columns) {
  // Most important first. Every column but the last is followed by one space.
  static constexpr std::array by_importance{Column::id,   Column::top,     Column::state, Column::name,
                                            Column::rate, Column::waiting, Column::slice, Column::thread,
                                            Column::idle, Column::switches};
  std::array<bool, column_table.size()> shown{};
  std::size_t used = 0;
  for (const Column column : by_importance) {
    if (!useful(sample, column)) continue;
    const std::size_t needed = natural_width(sample, column) + (used > 0 ? 1 : 0);
    // Beyond the most important ones, the frame is given some room before another column is added.
    const std::size_t room =
        column == Column::id || column == Column::top || column == Column::state ? 0 : 16;
    if (used > 0 && used + needed + room > columns) continue;
    used += needed;
    shown.at(static_cast<std::size_t>(column)) = true;
  }
  std::vector<PlacedColumn> placed;
  std::size_t taken = 0;
  for (const ColumnInfo& candidate : column_table) {
    if (!shown.at(static_cast<std::size_t>(candidate.column))) continue;
    placed.push_back({candidate.column, natural_width(sample, candidate.column)});
    taken += placed.back().width + 1;
  }
  // The last column takes what is left, also when even the first one alone is too wide.
  taken -= placed.back().width + 1;
  placed.back().width = columns > taken ? columns - taken : 0;
  widen_waiting(sample, placed);
  return placed;
}

Span cell(const Sample& sample, std::size_t index, Column column, Charset charset) {
  const auto& entry = sample.snapshot.greenlets[index];
  const auto& greenlet = entry.greenlet;
  switch (column) {
    case Column::id:
      return {printable(greenlet.id, charset), Style::plain};
    case Column::name:
      return {printable(inspect::display_name(greenlet), charset), Style::value};
    case Column::state:
      return {fmt::format("{}{}", inspect::name(greenlet.state), greenlet.main ? "*" : ""),
              state_style(greenlet.state)};
    case Column::thread:
      return {greenlet.tid ? std::to_string(*greenlet.tid) : "-", Style::dim};
    case Column::waiting:
      return {printable(inspect::waiting_text(greenlet), charset), Style::plain};
    case Column::slice:
      if (!has_slice(greenlet)) return {"-", Style::dim};
      return {
          short_bytes(static_cast<double>(greenlet.slice.size())) + (greenlet.slice.unsaved() > 0 ? "+" : ""),
          Style::plain};
    case Column::rate: {
      const auto rate = sample.switch_rates[index];
      if (!rate) return {"-", Style::dim};
      return {short_number(*rate), *rate > 0 ? Style::value : Style::dim};
    }
    case Column::switches:
      if (!greenlet.counted()) return {"-", Style::dim};
      return {short_number(static_cast<double>(greenlet.switches)), Style::plain};
    case Column::idle: {
      const auto idle = idle_time(sample, greenlet);
      return {idle ? short_duration(*idle) : "-", Style::dim};
    }
    case Column::top: {
      const std::string frames = top_frames(entry);
      if (frames.empty()) return {printable(no_frame_text(entry), charset), Style::dim};
      return {printable(frames, charset), Style::function};
    }
  }
  return {};
}

Sort sort_by(Column column) {
  return {column, info(column).largest_first};
}

std::vector<std::uint32_t> arrange(const Sample& sample, Sort sort, const Matcher& filter) {
  const auto& greenlets = sample.snapshot.greenlets;
  std::vector<std::uint32_t> order;
  order.reserve(greenlets.size());
  for (std::uint32_t i = 0; i < greenlets.size(); ++i) {
    if (filter.matches(greenlets[i])) order.push_back(i);
  }
  std::vector<std::optional<std::uint64_t>> ids(greenlets.size());
  for (const auto i : order) ids[i] = id_number(greenlets[i].greenlet.id);
  sort_by_keys(order, ids, sort.column == Column::id && sort.descending);
  if (sort.column == Column::id) return order;
  if (is_text(sort.column)) {
    std::vector<std::optional<std::string>> keys(greenlets.size());
    for (const auto i : order) {
      std::string text = sort_text(sample, i, sort.column);
      if (!text.empty()) keys[i] = std::move(text);
    }
    sort_by_keys(order, keys, sort.descending);
  } else {
    std::vector<std::optional<double>> keys(greenlets.size());
    for (const auto i : order) keys[i] = sort_number(sample, i, sort.column);
    sort_by_keys(order, keys, sort.descending);
  }
  return order;
}

std::string top_frames(const inspect::SnapshotGreenlet& greenlet) {
  constexpr std::ptrdiff_t most = 6;
  const auto& frames = greenlet.frames;
  auto frame = std::find_if(frames.begin(), frames.end(), [](const inspect::Frame& candidate) {
    const std::string_view function = candidate.function;
    return !function.starts_with("coppice::") && !function.starts_with("coppice_");
  });
  if (frame == frames.end()) frame = frames.begin();
  std::string out;
  for (const auto end = frame + std::min(most, frames.end() - frame); frame != end; ++frame) {
    if (!out.empty()) out += " < ";
    out += short_function(frame->title());
  }
  return out;
}

Style state_style(inspect::State state) {
  switch (state) {
    case inspect::State::unstarted:
      return Style::unstarted;
    case inspect::State::finished:
      return Style::finished;
    case inspect::State::running:
      return Style::running;
    case inspect::State::suspended:
      return Style::suspended;
    case inspect::State::orphaned:
      return Style::orphaned;
  }
  return Style::plain;
}

}  // namespace coppice::tui
