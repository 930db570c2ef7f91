#include "inspect/greenlets/cpython_reading.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace coppice::inspect {
namespace {

constexpr int stops_for_each_retry = 4;

/// Whether what a greenlet was in a pause before is no contradiction to what it is in this one.
bool still_right(const CopiedGreenlet& before, const GreenletFields& now, const GreenletStates& states) {
  return !before.torn && before.fields.object == now.object && before.greenlet.state != State::running &&
         before.greenlet.state == states.state(now);
}

std::ptrdiff_t torn_of(std::span<const CopiedGreenlet> copied) {
  return std::ranges::count(copied, true, &CopiedGreenlet::torn);
}

Address place(const CopiedGreenlet* one) {
  return one->fields.pimpl;
}

template <class T>
auto pointers(T& elements) {
  std::vector<decltype(elements.data())> all;
  all.reserve(elements.size());
  for (auto& one : elements) all.push_back(&one);
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
      fields_(target.memory(), what.extension, what.layout, types_),
      copier_(target, what, options, limits, types_, python_threads_) {}

void CpythonReading::run(std::vector<Address> places, ProviderReading& into) {
  into_ = &into;
  places_ = std::move(places);
  if (what_.python != nullptr) {
    PythonThreads threads = read_python_threads(target_, *what_.python);
    python_threads_ = std::move(threads.threads);
    if (threads.error) into.warnings.push_back(threads.error->message);
  }
  stacks_ = ThreadStacks::read(target_, python_threads_);
  look(places_, now_);
  const bool live = target_.kind() == Target::Kind::live;
  bool ran = live && !nothing_ran();
  if (!ran || options_.stopping == Stopping::never) {
    copied_ = copier_.copy(now_.all, now_.states);
    ran = live && !nothing_ran();
  }
  if (!ran) {
    // A core may be of a process amid a switch.
    into_->torn += static_cast<std::uint64_t>(torn_of(copied_));
  } else if (options_.stopping == Stopping::never) {
    read_until_unchanged();
  } else {
    read_while_still();
  }
  deliver();
}

/// Reads the fields of everything at once: which greenlet runs is seen only together with the others.
void CpythonReading::look(std::span<const Address> places, Picture& into) {
  fields_.read(places, into.all);
  const auto left_out =
      std::erase_if(into.all, [](const GreenletFields& fields) { return fields.object == 0; });
  into.states = GreenletStates(target_, what_.extension, python_threads_, stacks_, into.all);
  // Before greenlet 2.0 all that were found are greenlets, and who runs is seen by comparing all of them.
  if (what_.layout.flat() && left_out > 0) into.states.doubt();
}

bool CpythonReading::nothing_ran() const {
  return before_ && target_.stillness() == before_;
}

void CpythonReading::read_until_unchanged() {
  copier_.verify(copied_);
  for (int retry = 0;; ++retry) {
    look(places_, now_);
    std::vector<Address> torn;
    for (CopiedGreenlet& one : copied_) {
      // At any one time only one runs on a thread.
      const bool ran = one.greenlet.state == State::running;
      one.torn |= ran && now_.states.state(one.fields) != State::running;
      if (one.torn) torn.push_back(one.fields.pimpl);
    }
    into_->torn += torn.size();
    if (torn.empty() || retry >= options_.torn_retries) return;
    into_->retried += torn.size();
    std::erase_if(copied_, [](const CopiedGreenlet& one) { return one.torn; });
    std::ranges::sort(torn);
    std::vector<GreenletFields> again;
    for (const GreenletFields& fields : now_.all) {
      if (std::ranges::binary_search(torn, fields.pimpl)) again.push_back(fields);
    }
    std::vector<CopiedGreenlet> fresh = copier_.copy(again, now_.states);
    copier_.verify(fresh);
    std::ranges::move(fresh, std::back_inserter(copied_));
  }
}

void CpythonReading::read_while_still() {
  all_at_once_ = copier_.cost(now_.all) <= limits_.pause;
  if (all_at_once_) {
    copier_.read(pointers(std::as_const(now_.all)), now_.states, nullptr);  // makes room, as it says
  } else {
    read_in_turns();
  }
  for (int retry = 0;; ++retry) {
    std::ranges::sort(by_place_ = pointers(copied_), {}, place);
    kept_ = by_place_;  // it may turn out that nothing can be stopped
    slept_.clear();
    for (const GreenletFields& fields : now_.all) {
      if (now_.states.state(fields) != State::running) slept_.push_back(fields);
    }
    const std::vector<Error> errors =
        target_.while_still([this](const Target::StillThreads& still) { catch_up(still); });
    std::vector<CopiedGreenlet> result = copier_.take(now_.states);
    for (CopiedGreenlet* one : kept_) result.push_back(std::move(*one));
    copied_ = std::move(result);
    const std::uint64_t changed = count_changed();
    into_->torn += changed;
    into_->retried += changed;
    if (!errors.empty()) {
      for (const Error& error : errors) into_->warnings.push_back(error.message);
      copied_ = copier_.copy(now_.all, now_.states);
      read_until_unchanged();
      return;
    }
    // It may have been stopped amid a switch; some programs do little else.
    const bool amid_switch = now_.states.amid_switch() || std::ranges::any_of(copied_, &CopiedGreenlet::torn);
    if (!amid_switch || retry >= stops_for_each_retry * options_.torn_retries) break;
  }
  into_->torn += static_cast<std::uint64_t>(torn_of(copied_));
}

/// Copies those that sleep, some in each pause.
void CpythonReading::read_in_turns() {
  copied_.reserve(now_.all.size());
  // Those that tell which greenlet runs are looked at each time.
  std::vector<Address> always;
  for (const GreenletFields& fields : now_.all) {
    if (fields.main || what_.layout.flat()) always.push_back(fields.pimpl);
  }
  Picture picture;
  for (std::size_t next = 0; next < now_.all.size();) {
    std::vector<Address> turn;
    for (std::uint64_t cost = 0; next < now_.all.size() && (turn.empty() || cost < limits_.pause); ++next) {
      turn.push_back(now_.all[next].pimpl);
      cost += copier_.cost({&now_.all[next], 1});
    }
    std::vector<Address> places;
    std::ranges::set_union(turn, always, std::back_inserter(places));
    const auto read_them = [&](const Target::StillThreads& still) {
      look(places, picture);
      wanted_.clear();
      for (const GreenletFields& fields : picture.all) {
        const bool asleep = picture.states.state(fields) != State::running;
        if (asleep && std::ranges::binary_search(turn, fields.pimpl)) wanted_.push_back(&fields);
      }
      copier_.read(wanted_, picture.states, &still);
    };
    if (copied_.empty()) read_them({});  // makes room
    if (!target_.while_still(read_them).empty()) return;
    std::ranges::move(copier_.take(picture.states), std::back_inserter(copied_));
  }
}

/// Called while nothing runs, twice when something did.
void CpythonReading::catch_up(const Target::StillThreads& still) {
  std::vector<Address> near = finder_.find_near(places_);
  std::vector<Address> before = std::move(places_);
  places_.clear();
  std::ranges::set_union(before, near, std::back_inserter(places_));
  look(places_, now_);
  kept_.clear();
  wanted_.clear();
  std::uint64_t cost = 0;
  auto known = by_place_.begin();
  for (const GreenletFields& fields : now_.all) {
    known = std::ranges::lower_bound(known, by_place_.end(), fields.pimpl, {}, place);
    const bool is_known = known != by_place_.end() && place(*known) == fields.pimpl;
    const bool right = !all_at_once_ && is_known && still_right(**known, fields, now_.states);
    // Where there are too many that have been switched since, they are shown as they were in their turn.
    if (right && ((*known)->fields.same_switch(fields) || cost >= limits_.pause)) {
      kept_.push_back(*known);
    } else {
      wanted_.push_back(&fields);
      cost += copier_.cost({&fields, 1});
    }
  }
  copier_.read(wanted_, now_.states, &still);
}

/// How many of those that slept at the last look before the pause were switched until then.
std::uint64_t CpythonReading::count_changed() const {
  std::uint64_t changed = 0;
  auto now = now_.all.begin();
  for (const GreenletFields& before : slept_) {
    now = std::ranges::lower_bound(now, now_.all.end(), before.pimpl, {}, &GreenletFields::pimpl);
    if (now != now_.all.end() && now->pimpl == before.pimpl && !now->same_switch(before)) ++changed;
  }
  return changed;
}

/// By address. One that never held still is shown by its fields as they were last seen, each true by itself.
void CpythonReading::deliver() {
  std::vector<CopiedGreenlet*> order = pointers(copied_);
  if (!std::ranges::is_sorted(order, {}, place)) std::ranges::sort(order, {}, place);
  into_->greenlets.reserve(into_->greenlets.size() + order.size());
  for (CopiedGreenlet* one : order) {
    if (one->torn) {
      ++into_->lost;
      one->greenlet = copier_.identify(one->fields, now_.states);
      one->greenlet.error =
          Error{ErrorCode::torn, one->fields.object, "it was being switched whenever it was read"};
    }
    GreenletCopier::relate(*one, now_.states);
    into_->greenlets.push_back(std::move(one->greenlet));
  }
}

}  // namespace coppice::inspect
