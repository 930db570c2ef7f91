// The view of one process: header, greenlets, backtrace.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tui/model/sampler.hpp"
#include "tui/terminal/events.hpp"
#include "tui/terminal/screen.hpp"
#include "tui/widgets/backtrace_pane.hpp"
#include "tui/widgets/greenlet_list.hpp"
#include "tui/widgets/help.hpp"
#include "tui/widgets/search_line.hpp"
#include "tui/widgets/sort_menu.hpp"

namespace coppice::tui {

/// What the command line decides about the view of greenlets.
struct ViewOptions {
  std::chrono::milliseconds interval{1000};
  Sort sort;
  std::string filter;
  inspect::SnapshotOptions snapshot;
  bool escape_leaves = false;  ///< there is somewhere to go back to
};

/// Shows Samples as they come and answers keys until the user leaves. The end of the target does not end the
/// view: its last Sample stays.
class GreenletView {
 public:
  GreenletView(Screen& screen, Events& events, std::unique_ptr<SnapshotSource> source, ViewOptions options,
               Charset charset);

  enum class Left : std::uint8_t { quit, back };

  /// Returns how the user left (`back`: by Escape while the list had the keys); an error when
  /// there never was anything to show.
  inspect::Result<Left> run();

 private:
  void update();
  void draw();
  void draw_lines(std::size_t first_row, const std::vector<Line>& lines);
  std::optional<Line> message() const;
  Line bottom_line(std::size_t columns);

  void handle(Key key);
  void handle_search(Key key);
  void handle_menu(Key key);
  void handle_command(Key key);
  void begin_typing(SearchLine::Purpose purpose);
  void search_again(bool forward);
  void change_sort(Sort sort);
  void step_sort(int step);
  void change_interval(bool longer);
  void next_choice();
  void show_selected();

  Screen& screen_;
  Events& events_;
  ViewOptions options_;
  Charset charset_;
  SharedChoice choice_;
  Sampler sampler_;

  std::shared_ptr<const Update> update_;  ///< keeps `sample_` alive
  std::shared_ptr<const Sample> sample_;
  std::optional<inspect::Error> error_;  ///< of the latest attempt
  bool ended_ = false;                   ///< the target is gone: no more attempts
  bool paused_ = false;
  std::optional<Left> left_;

  GreenletList list_;
  BacktracePane backtrace_;
  bool backtrace_focused_ = false;
  bool backtrace_whole_ = false;
  std::optional<Help> help_;
  std::optional<SortMenu> menu_;
  std::optional<SearchLine> typing_;
  std::string searched_;
  bool found_ = true;
};

}  // namespace coppice::tui
