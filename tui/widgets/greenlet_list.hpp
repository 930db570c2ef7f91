// The list of greenlets: sorted, filtered, one of them selected.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tui/format/key.hpp"
#include "tui/format/line.hpp"
#include "tui/model/columns.hpp"
#include "tui/model/sample.hpp"
#include "tui/widgets/scroller.hpp"

namespace coppice::tui {

/// The selection stays on its greenlet, by id, through new samples and other orders, and on its line of the
/// screen as far as possible. Until a key has moved it for the first time it stays on the first row.
/// Rendering takes time by the rows shown, not by the length of the list.
class GreenletList {
 public:
  void set_sample(std::shared_ptr<const Sample> sample);
  void set_sort(Sort sort);
  void set_filter(Matcher filter);

  Sort sort() const noexcept { return sort_; }
  const Matcher& filter() const noexcept { return filter_; }
  std::size_t shown() const noexcept { return order_.size(); }

  /// Index of the selected greenlet in the sample; empty when nothing is listed.
  std::optional<std::size_t> selected() const;

  /// Selects the next match, from the selection on (which is looked at first when `including_selected`),
  /// going round at the end. False when nothing matches; then the selection stays.
  bool find(const Matcher& matcher, bool forward, bool including_selected);

  /// Moves the selection, or scrolls the last column by the left and right arrow keys.
  bool handle(Key key);

  /// The titles and as many rows as fit.
  std::vector<Line> render(Size size, bool focused, Charset charset);

 private:
  void rearrange();
  Line row(std::size_t index, const std::vector<PlacedColumn>& columns, Charset charset) const;
  Line titles(const std::vector<PlacedColumn>& columns, Charset charset) const;

  std::shared_ptr<const Sample> sample_;
  Sort sort_;
  Matcher filter_;
  std::vector<std::uint32_t> order_;
  Scroller scroller_;
  std::string selected_id_;
  bool moved_ = false;
  std::size_t skipped_columns_ = 0;  ///< of the last column's text
};

}  // namespace coppice::tui
