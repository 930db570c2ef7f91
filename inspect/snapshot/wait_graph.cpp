#include "inspect/snapshot/wait_graph.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace coppice::inspect {
namespace {

constexpr std::size_t nobody = SIZE_MAX;

/// For each greenlet the number of the one it waits for, or nobody.
std::vector<std::size_t> waits_on(const Snapshot& snapshot) {
  std::unordered_map<std::string_view, std::size_t> numbers;
  for (std::size_t i = 0; i < snapshot.greenlets.size(); ++i) numbers[snapshot.greenlets[i].greenlet.id] = i;
  std::vector<std::size_t> on(snapshot.greenlets.size(), nobody);
  for (std::size_t i = 0; i < on.size(); ++i) {
    const auto& waiting = snapshot.greenlets[i].greenlet.waiting;
    if (!waiting || !waiting->greenlet) continue;
    if (const auto found = numbers.find(*waiting->greenlet); found != numbers.end()) on[i] = found->second;
  }
  return on;
}

std::vector<std::size_t> follow(const std::vector<std::size_t>& on, std::size_t from) {
  std::vector<std::size_t> chain;
  std::unordered_set<std::size_t> met{from};
  for (std::size_t at = on[from]; at != nobody; at = on[at]) {
    chain.push_back(at);
    if (!met.insert(at).second) break;
  }
  return chain;
}

/// Everybody waits for one at most, so whoever is on a circle is on one only.
std::vector<std::vector<std::size_t>> cycles_of(const std::vector<std::size_t>& on) {
  enum class Mark : std::uint8_t { fresh, on_path, done };
  std::vector<Mark> marks(on.size(), Mark::fresh);
  std::vector<std::vector<std::size_t>> cycles;
  for (std::size_t start = 0; start < on.size(); ++start) {
    std::vector<std::size_t> path;
    std::size_t at = start;
    for (; at != nobody && marks[at] == Mark::fresh; at = on[at]) {
      marks[at] = Mark::on_path;
      path.push_back(at);
    }
    if (at != nobody && marks[at] == Mark::on_path) {
      std::vector<std::size_t> cycle(std::ranges::find(path, at), path.end());
      std::ranges::rotate(cycle, std::ranges::min_element(cycle));
      cycles.push_back(std::move(cycle));
    }
    for (const std::size_t passed : path) marks[passed] = Mark::done;
  }
  std::ranges::sort(cycles);
  return cycles;
}

}  // namespace

WaitGraph wait_graph(const Snapshot& snapshot) {
  const std::vector<std::size_t> on = waits_on(snapshot);
  WaitGraph graph;
  std::map<std::tuple<std::string, std::uint64_t, std::string>, std::size_t> group_of;
  for (std::size_t i = 0; i < snapshot.greenlets.size(); ++i) {
    const auto& waiting = snapshot.greenlets[i].greenlet.waiting;
    if (!waiting) continue;
    // One's own time left is nobody else's, and neither is one's own coroutine.
    const bool timer = waiting->kind == "timer", coroutine = waiting->kind == "await";
    const std::uint64_t value = timer || coroutine ? 0 : waiting->value;
    const std::string text = coroutine ? waiting->detail : std::string();
    const auto [known, is_new] = group_of.try_emplace({waiting->kind, value, text}, graph.groups.size());
    if (is_new) {
      WaitGroup& group = graph.groups.emplace_back();
      group.kind = waiting->kind;
      group.value = value;
      group.what = timer                     ? "timers"
                   : waiting->detail.empty() ? waiting->kind + " " + std::to_string(waiting->value)
                                             : waiting->detail;
      if (on[i] != nobody) group.greenlet = on[i];
    }
    graph.groups[known->second].waiting.push_back(i);
  }
  std::ranges::stable_sort(graph.groups, std::ranges::greater(),
                           [](const WaitGroup& group) { return group.waiting.size(); });
  graph.cycles = cycles_of(on);
  return graph;
}

std::vector<std::size_t> wait_chain(const Snapshot& snapshot, std::size_t greenlet) {
  return follow(waits_on(snapshot), greenlet);
}

}  // namespace coppice::inspect
