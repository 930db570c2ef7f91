// What search and filter look for.
#pragma once

#include <string>
#include <string_view>

#include "inspect/snapshot/snapshot.hpp"

namespace coppice::tui {

/// Finds a piece of text, whatever the case of its ASCII letters.
class Matcher {
 public:
  Matcher() = default;
  explicit Matcher(std::string_view text);

  /// Without text everything matches.
  bool empty() const noexcept { return needle_.empty(); }
  const std::string& text() const noexcept { return text_; }

  bool matches(std::string_view text) const;

  /// By id, name, state, what it waits for, or any function of its backtrace.
  bool matches(const inspect::SnapshotGreenlet& greenlet) const;

 private:
  std::string text_;
  std::string needle_;  ///< folded
};

}  // namespace coppice::tui
