#include "inspect/greenlets/cpython_reading.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <numeric>

namespace coppice::inspect {
namespace {

constexpr int stops_for_each_retry = 4;

std::uint64_t bytes_of(std::span<const CopiedGreenlet> copied) {
  return std::accumulate(
      copied.begin(), copied.end(), std::uint64_t{0},
      [](std::uint64_t sum, const CopiedGreenlet& one) { return sum + one.greenlet.stack.size(); });
}

/// Whether a copy made of `before` is one of `now` as well.
bool still_valid(const CopiedGreenlet& before, const GreenletFields& now, const GreenletStates& states) {
  return !before.torn && before.greenlet.state != State::running && before.fields.same_switch(now) &&
         before.fields.parent == now.parent && before.greenlet.state == states.state(now);
}

std::ptrdiff_t torn_of(std::span<const CopiedGreenlet> copied) {
  return std::ranges::count(copied, true, &CopiedGreenlet::torn);
}

Address place(const CopiedGreenlet* one) {
  return one->fields.pimpl;
}

std::vector<CopiedGreenlet*> pointers(std::vector<CopiedGreenlet>& copied) {
  std::vector<CopiedGreenlet*> all;
  all.reserve(copied.size());
  for (CopiedGreenlet& one : copied) all.push_back(&one);
  return all;
}

}  // namespace

CpythonReading::CpythonReading(const Target& target, const CpythonGreenlets& what,
                               const GreenletFinder& finder, const std::optional<std::string>& before,
                               const ReadOptions& options, const CpythonLimits& limits)
    : target_(target),
      what_(what),
      finder_(finder),
      before_(before),
      options_(options),
      limits_(limits),
      types_(target.memory(), what.layout, what.extension.type),
      copier_(target, what, options, limits, types_) {}

void CpythonReading::run(std::vector<Address> places, ProviderReading& into) {
  into_ = &into;
  places_ = std::move(places);
  if (what_.python != nullptr) {
    PythonThreads threads = read_python_threads(target_, *what_.python);
    python_threads_ = std::move(threads.threads);
    if (threads.error) into.warnings.push_back(threads.error->message);
  }
  stacks_ = ThreadStacks::read(target_, python_threads_);
  look();
  copied_ = copier_.copy(all_, *states_, nullptr);
  const bool stands_still = target_.kind() != Target::Kind::live || nothing_ran();
  // A core may be of a process amid a switch.
  if (stands_still) into_->torn += static_cast<std::uint64_t>(torn_of(copied_));
  if (!stands_still && options_.stopping == Stopping::never) read_until_unchanged();
  if (!stands_still && options_.stopping == Stopping::allowed) read_while_still();
  deliver();
}

/// Reads the fields of everything at once: which greenlet runs is seen only together with the others.
void CpythonReading::look() {
  all_ = read_greenlet_fields(target_.memory(), what_.extension, what_.layout, types_, places_);
  const auto left_out = std::erase_if(all_, [](const GreenletFields& fields) { return fields.object == 0; });
  states_ = std::make_unique<GreenletStates>(target_, what_.extension, python_threads_, stacks_, all_);
  // Before greenlet 2.0 all that were found are greenlets, and who runs is seen by comparing all of them.
  if (what_.layout.flat() && left_out > 0) states_->doubt();
}

bool CpythonReading::nothing_ran() const {
  return before_ && target_.stillness() == before_;
}

void CpythonReading::read_until_unchanged() {
  copier_.verify(copied_);
  for (int retry = 0;; ++retry) {
    look();
    std::vector<Address> torn;
    for (CopiedGreenlet& one : copied_) {
      // At any one time only one runs on a thread.
      const bool ran = one.greenlet.state == State::running;
      one.torn |= ran && states_->state(one.fields) != State::running;
      if (one.torn) torn.push_back(one.fields.pimpl);
    }
    into_->torn += torn.size();
    if (torn.empty() || retry >= options_.torn_retries) return;
    into_->retried += torn.size();
    std::erase_if(copied_, [](const CopiedGreenlet& one) { return one.torn; });
    std::ranges::sort(torn);
    std::vector<GreenletFields> again;
    for (const GreenletFields& fields : all_) {
      if (std::ranges::binary_search(torn, fields.pimpl)) again.push_back(fields);
    }
    std::vector<CopiedGreenlet> fresh = copier_.copy(again, *states_, nullptr);
    copier_.verify(fresh);
    std::ranges::move(fresh, std::back_inserter(copied_));
  }
}

void CpythonReading::read_while_still() {
  // A greenlet that ran and sleeps again with the same fields is told by its bytes. Where there are too many
  // of those for the pause, they are compared now.
  copy_all_again_ = bytes_of(copied_) <= limits_.pause;
  if (!copy_all_again_) copier_.verify(copied_);
  for (int retry = 0;; ++retry) {
    std::ranges::sort(by_place_ = pointers(copied_), {}, place);
    const std::vector<Error> errors =
        target_.while_still([this](const Target::StillThreads& still) { catch_up(still); });
    into_->torn += changed_;
    into_->retried += changed_;
    std::vector<CopiedGreenlet> result = std::move(fresh_);
    result.reserve(result.size() + kept_.size());
    for (CopiedGreenlet* one : kept_) result.push_back(std::move(*one));
    copied_ = std::move(result);
    if (!errors.empty()) {
      for (const Error& error : errors) into_->warnings.push_back(error.message);
      read_until_unchanged();
      return;
    }
    // It may have been stopped amid a switch; some programs do little else.
    const bool amid_switch = states_->amid_switch() || std::ranges::any_of(copied_, &CopiedGreenlet::torn);
    if (!amid_switch || retry >= stops_for_each_retry * options_.torn_retries) break;
    copy_all_again_ = false;
  }
  into_->torn += static_cast<std::uint64_t>(torn_of(copied_));
}

/// Called while nothing runs, twice when something did.
void CpythonReading::catch_up(const Target::StillThreads& still) {
  std::vector<Address> near = finder_.find_near(places_);
  std::vector<Address> before = std::move(places_);
  places_.clear();
  std::ranges::set_union(before, near, std::back_inserter(places_));
  look();
  kept_.clear();
  changed_ = 0;
  std::vector<GreenletFields> wanted;
  auto known = by_place_.begin();
  for (const GreenletFields& fields : all_) {
    known = std::ranges::lower_bound(known, by_place_.end(), fields.pimpl, {}, place);
    const bool is_known = known != by_place_.end() && place(*known) == fields.pimpl;
    const bool valid = is_known && still_valid(**known, fields, *states_);
    if (valid && !copy_all_again_) {
      kept_.push_back(*known);
    } else {
      wanted.push_back(fields);
      const bool ran = is_known && (*known)->greenlet.state == State::running;
      if (is_known && !valid && (!ran || (*known)->torn)) ++changed_;
    }
  }
  fresh_ = copier_.copy(wanted, *states_, &still);
}

/// By address. One that never held still is shown by its fields as they were last seen, each true by itself.
void CpythonReading::deliver() {
  std::vector<CopiedGreenlet*> order = pointers(copied_);
  if (!std::ranges::is_sorted(order, {}, place)) std::ranges::sort(order, {}, place);
  into_->greenlets.reserve(into_->greenlets.size() + order.size());
  for (CopiedGreenlet* one : order) {
    if (one->torn) {
      ++into_->lost;
      one->greenlet = copier_.identify(one->fields, *states_);
      one->greenlet.error =
          Error{ErrorCode::torn, one->fields.object, "it was being switched whenever it was read"};
    }
    into_->greenlets.push_back(std::move(one->greenlet));
  }
}

}  // namespace coppice::inspect
