// `gldump waits`: who waits for what, and who for whom.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "inspect/base/printable.hpp"
#include "inspect/export/paint.hpp"
#include "inspect/export/text.hpp"
#include "inspect/snapshot/wait_graph.hpp"

namespace coppice::inspect {
namespace {

/// How many greenlets of a group are named before it says "...": JSON has them all.
constexpr std::size_t named_at_most = 16;

std::string label(const Greenlet& greenlet) {
  return greenlet.name.empty() ? greenlet.id : greenlet.id + " \"" + printable(greenlet.name) + '"';
}

template <class LabelOf>
std::string first_of(const std::vector<std::size_t>& numbers, LabelOf label_of) {
  std::string list;
  for (std::size_t i = 0; i < std::min(numbers.size(), named_at_most); ++i) {
    if (i > 0) list += ", ";
    list += label_of(numbers[i]);
  }
  return numbers.size() > named_at_most ? list + ", ..." : list;
}

/// What a greenlet does instead of ending, told to those who wait for it.
std::string what_it_does(const Snapshot& snapshot, std::size_t number) {
  const Greenlet& greenlet = snapshot.greenlets[number].greenlet;
  if (greenlet.waiting) return "which waits for " + waiting_text(greenlet);
  return std::string("which is ") + name(greenlet.state);
}

}  // namespace

bool write_waits(const Snapshot& snapshot, const TextStyle& style, const Sink& sink) {
  const WaitGraph graph = wait_graph(snapshot);
  const auto label_of = [&](std::size_t number) { return label(snapshot.greenlets[number].greenlet); };
  for (const auto& cycle : graph.cycles) {
    std::string line = paint(style.color, red, "deadlock") + ": ";
    for (const std::size_t number : cycle) line += label_of(number) + " waits for ";
    if (!sink(line + label_of(cycle.front()) + "\n\n")) return false;
  }
  std::size_t told = 0;
  for (const WaitGroup& group : graph.groups) {
    const std::size_t count = group.waiting.size();
    told += count;
    const bool alone = count == 1;
    const std::string who =
        alone ? "greenlet " + label_of(group.waiting.front()) : fmt::format("{} greenlets", count);
    std::string line = paint(style.color, bold, who) + (alone ? " waits for " : " wait for ") +
                       paint(style.color, yellow, printable(group.what));
    if (group.greenlet) line += ", " + what_it_does(snapshot, *group.greenlet);
    if (!sink(line + "\n")) return false;
    if (!alone && !sink("    " + first_of(group.waiting, label_of) + "\n")) return false;
  }
  const SnapshotStats& stats = snapshot.stats;
  const std::uint64_t asleep = stats.suspended + stats.orphaned;
  if (asleep <= told) return true;
  return sink(paint(style.color, dim,
                    fmt::format("{} suspended greenlet{}: what for is not known", asleep - told,
                                asleep - told == 1 ? "" : "s")) +
              "\n");
}

}  // namespace coppice::inspect
