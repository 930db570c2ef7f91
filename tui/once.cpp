#include "tui/once.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tui/model/backtrace.hpp"
#include "tui/terminal/theme.hpp"
#include "tui/widgets/header.hpp"
#include "tui/widgets/process_list.hpp"

namespace coppice::tui {
namespace {

/// Wide enough for the header on any screen, where the lines have no end.
constexpr std::size_t header_columns = 160;
constexpr std::size_t endless = 100'000;

void print(const Line& line, const Paper& paper) {
  std::string text = paper.escapes ? with_escapes(line, paper.colors) : line.text();
  while (text.ends_with(' ')) text.pop_back();
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), paper.out);
}

/// A list of which nothing is selected: there are no keys on paper.
void print_list(std::vector<Line> lines, const Paper& paper) {
  for (Line& line : lines) {
    line.whole = Style::plain;
    print(line, paper);
  }
}

}  // namespace

Paper Paper::standard_output(bool colors) {
  Paper paper;
  paper.charset = locale_charset();
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0) return paper;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) paper.columns = size.ws_col;
  const char* term = std::getenv("TERM");
  paper.escapes = term != nullptr && std::string_view(term) != "dumb";
  paper.colors = colors;
  return paper;
}

void print_sample(const std::shared_ptr<const Sample>& sample, const ViewOptions& options,
                  const Paper& paper) {
  const Header header{sample, options.interval, false};
  for (const Line& line :
       header.render({4, paper.columns > 0 ? paper.columns : header_columns}, paper.charset)) {
    print(line, paper);
  }
  print({}, paper);
  GreenletList list;
  list.set_sort(options.sort);
  list.set_filter(Matcher(options.filter));
  list.set_sample(sample);
  const std::size_t columns = paper.columns > 0 ? paper.columns : endless;
  print_list(list.render({sample->snapshot.greenlets.size() + 1, columns}, true, paper.charset), paper);
  const auto first = list.selected();
  if (!first) return;
  const auto& greenlet = sample->snapshot.greenlets[*first];
  print({}, paper);
  print(backtrace_title(greenlet, paper.charset), paper);
  for (Line& line : backtrace_lines(greenlet, paper.charset)) {
    line.cut(columns, paper.charset);
    print(line, paper);
  }
}

void print_process_list(const std::shared_ptr<const ProcessList>& list, const Paper& paper) {
  ProcessListWidget widget;
  widget.set_list(list);
  const std::size_t columns = paper.columns > 0 ? paper.columns : endless;
  print_list(widget.render({list->entries.size() + 1, columns}, paper.charset), paper);
  print(process_summary(*list), paper);
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
