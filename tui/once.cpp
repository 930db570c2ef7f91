#include "tui/once.hpp"

#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <utility>

#include "tui/model/backtrace.hpp"
#include "tui/terminal/theme.hpp"
#include "tui/widgets/header.hpp"

namespace coppice::tui {
namespace {

/// Wide enough for the header on any screen, where the lines have no end.
constexpr std::size_t header_columns = 160;
constexpr std::size_t endless = 100'000;

void print_line(std::FILE* out, const Line& line, bool escapes, bool colors) {
  std::string text = escapes ? with_escapes(line, colors) : line.text();
  while (text.ends_with(' ')) text.pop_back();
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), out);
}

}  // namespace

void print_sample(std::FILE* out, std::shared_ptr<const Sample> sample, const ViewOptions& options,
                  std::size_t columns, bool escapes, bool colors, Charset charset) {
  const std::size_t list_columns = columns > 0 ? columns : endless;
  const auto print = [&](const Line& line) { print_line(out, line, escapes, colors); };
  const Header header{sample, options.interval, false};
  for (const Line& line : header.render({4, columns > 0 ? columns : header_columns}, charset)) print(line);
  print({});
  GreenletList list;
  list.set_sort(options.sort);
  list.set_filter(Matcher(options.filter));
  list.set_sample(sample);
  const std::size_t all_rows = sample->snapshot.greenlets.size() + 1;
  for (Line& line : list.render({all_rows, list_columns}, true, charset)) {
    line.whole = Style::plain;  // nothing is selected on paper
    print(line);
  }
  if (const auto first = list.selected()) {
    const auto& greenlet = sample->snapshot.greenlets[*first];
    print({});
    print(backtrace_title(greenlet, charset));
    for (Line& line : backtrace_lines(greenlet, charset)) {
      line.cut(list_columns, charset);
      print(line);
    }
  }
}

inspect::Result<std::shared_ptr<const Sample>> sample_once(SnapshotSource& source, const ViewOptions& options,
                                                           bool& ended_midway) {
  SampleMaker maker;
  std::shared_ptr<const Sample> sample;
  ended_midway = false;
  for (int reading = 0; reading < 2 && !ended_midway; ++reading) {
    if (reading > 0) std::this_thread::sleep_for(options.interval);
    const auto began = std::chrono::steady_clock::now();
    auto snapshot = source.take(options.snapshot);
    const auto cost = std::chrono::steady_clock::now() - began;
    if (snapshot.ok()) {
      ended_midway = snapshot->target_died;
      sample = maker.make(std::move(snapshot).value(), cost);
    } else if (sample) {
      ended_midway = true;
    } else {
      return std::move(snapshot).error();
    }
  }
  return sample;
}

}  // namespace coppice::tui
