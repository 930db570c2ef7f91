#include "tui/model/sample.hpp"

#include <algorithm>
#include <utility>

#include "inspect/export/text.hpp"

namespace coppice::tui {
namespace {

/// Increase per second; nothing when the counter went backwards, as it does when it starts anew.
std::optional<double> rate(std::uint64_t before, std::uint64_t after, double seconds) {
  if (after < before || !(seconds > 0)) return std::nullopt;
  return static_cast<double>(after - before) / seconds;
}

void add_rates(Sample& sample, const Sample& previous) {
  const auto& now = sample.snapshot;
  const auto& then = previous.snapshot;
  const double seconds = static_cast<double>(now.stats.taken_unix_ns - then.stats.taken_unix_ns) / 1e9;
  if (!sample.counted) return;
  sample.switches_per_second = rate(then.stats.switches, now.stats.switches, seconds);
  sample.bytes_per_second = rate(then.stats.bytes_copied, now.stats.bytes_copied, seconds);
  for (std::size_t i = 0; i < now.greenlets.size(); ++i) {
    const auto& greenlet = now.greenlets[i].greenlet;
    if (!greenlet.counted()) continue;
    // One that was not there yet has done all its switches since.
    const auto found = previous.find(greenlet.id);
    const std::uint64_t before = found ? then.greenlets[*found].greenlet.switches : 0;
    sample.switch_rates[i] = rate(before, greenlet.switches, seconds);
  }
}

}  // namespace

std::optional<std::size_t> Sample::find(std::string_view id) const {
  const auto found = by_id.find(id);
  if (found == by_id.end()) return std::nullopt;
  return found->second;
}

std::shared_ptr<const Sample> SampleMaker::make(inspect::Snapshot snapshot, std::chrono::nanoseconds cost) {
  auto sample = std::make_shared<Sample>();
  sample->snapshot = std::move(snapshot);
  sample->cost = cost;
  const auto& greenlets = sample->snapshot.greenlets;
  sample->switch_rates.resize(greenlets.size());
  sample->by_id.reserve(greenlets.size());
  for (std::size_t i = 0; i < greenlets.size(); ++i) {
    const auto& greenlet = greenlets[i].greenlet;
    sample->by_id.emplace(greenlet.id, i);
    sample->slice_bytes += greenlet.slice.saved;
    sample->counted = sample->counted || greenlet.counted();
    sample->longest_id = std::max(sample->longest_id, greenlet.id.size());
    sample->longest_name = std::max(sample->longest_name, inspect::display_name(greenlet).size());
    sample->longest_waiting = std::max(sample->longest_waiting, inspect::waiting_text(greenlet).size());
  }
  sample->torn_so_far = sample->snapshot.stats.torn;
  sample->lost_so_far = sample->snapshot.stats.lost;
  if (previous_) {
    sample->torn_so_far += previous_->torn_so_far;
    sample->lost_so_far += previous_->lost_so_far;
    add_rates(*sample, *previous_);
  }
  previous_ = sample;
  return sample;
}

}  // namespace coppice::tui
