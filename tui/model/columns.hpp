// The columns of the greenlet list: what stands in them, how wide they are, and how they sort.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tui/format/line.hpp"
#include "tui/model/matcher.hpp"
#include "tui/model/sample.hpp"

namespace coppice::tui {

enum class Column : std::uint8_t { id, name, state, thread, waiting, slice, rate, switches, idle, top };

struct ColumnInfo {
  Column column;
  const char* key;    ///< for --sort-key
  const char* title;  ///< fits into the narrowest cell
  const char* about;
  Align align;
  bool largest_first;  ///< the order one usually wants
};

/// In the order of the screen.
inline constexpr std::array<ColumnInfo, 10> column_table{{
    {Column::id, "id", "ID", "spawn number or address", Align::right, false},
    {Column::name, "name", "NAME", "its name, if it has one", Align::left, false},
    {Column::state, "state", "STATE", "its state; * marks a thread's main greenlet", Align::left, false},
    {Column::thread, "thread", "THREAD", "the thread it belongs to", Align::right, false},
    {Column::waiting, "waiting", "WAITING", "what the program says it waits for", Align::left, false},
    {Column::slice, "slice", "SLICE", "size of its stack; + when part of it is not in the heap", Align::right,
     true},
    {Column::rate, "rate", "SW/S", "switches to it per second", Align::right, true},
    {Column::switches, "switches", "SWITCH", "switches to it so far", Align::right, true},
    {Column::idle, "idle", "IDLE", "time since its last switch", Align::right, true},
    {Column::top, "top", "TOP FRAMES", "innermost functions outside the runtime, each with its callers",
     Align::left, false},
}};

const ColumnInfo& info(Column column);

/// The column with a key of `column_table`.
std::optional<Column> column_by_key(std::string_view key);

/// A column with the width it has been given.
struct PlacedColumn {
  Column column;
  std::size_t width = 0;
};

/// Chooses the columns that fit into `columns` and gives the last one what is left. On a narrow screen the
/// less important ones are left out; the id always stays.
std::vector<PlacedColumn> place_columns(const Sample& sample, std::size_t columns);

/// What stands in a column, printable but not yet cut or padded.
Span cell(const Sample& sample, std::size_t index, Column column, Charset charset);

struct Sort {
  Column column = Column::rate;
  bool descending = true;
  friend bool operator==(const Sort&, const Sort&) = default;
};

/// Sorting by a column, its usual way round.
Sort sort_by(Column column);

/// Indices of the greenlets that match, sorted; equal ones by id. What is unknown comes last, either way
/// round.
std::vector<std::uint32_t> arrange(const Sample& sample, Sort sort, const Matcher& filter);

/// "wait < read_line < serve": the innermost frames that are not the runtime's own switching, or, when all
/// are, the innermost ones. Names are short, and not more than fit on a screen. Empty without frames. Not yet
/// printable.
std::string top_frames(const inspect::SnapshotGreenlet& greenlet);

Style state_style(inspect::State state);

}  // namespace coppice::tui
