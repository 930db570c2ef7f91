#include "inspect/waits/waits.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "inspect/python/python_threads.hpp"
#include "inspect/waits/eventlet.hpp"
#include "inspect/waits/gevent.hpp"
#include "inspect/waits/gevent_jobs.hpp"
#include "inspect/waits/names.hpp"
#include "inspect/waits/switched.hpp"

namespace coppice::inspect {
namespace {

constexpr int most_rounds = 64;
constexpr std::size_t first_few = 64;
constexpr std::size_t most_frames_of_worker = 1024;

/// gevent's objects are of types that its extension modules define.
bool has_gevent(const Target& target) {
  return std::ranges::any_of(
      target.modules(), [](const Module& module) { return module.path.find("gevent") != std::string::npos; });
}

class Finder {
 public:
  Finder(const Target& target, const PythonRuntime& python, std::span<Greenlet* const> greenlets,
         const WaitContext& context)
      : layout_(python.layout),
        threads_(read_python_threads(target, python).threads),
        heap_(target.memory(), layout_, target.mappings()),
        gevent_(heap_, context, by_address_),
        eventlet_(heap_, context, by_address_),
        switched_(heap_, layout_, by_id_) {
    const bool gevent = has_gevent(target);
    for (Greenlet* greenlet : greenlets) {
      if (greenlet->provider != "cpython") continue;
      by_address_.emplace(greenlet->address, greenlet);
      WaitSearch& search = searches_.emplace_back();
      search.greenlet = greenlet;
      search.asked = gevent ? 0 : 1;
    }
    for (WaitSearch& search : searches_) {
      search.variables = variables_of(*search.greenlet);
      by_id_.emplace(search.greenlet->id, &search);
    }
  }

  void run() {
    // A few first: what is known of types and of shared objects then, the others need not wait for.
    run(std::span(searches_).first(std::min(searches_.size(), first_few)));
    run(searches_);
    find_jobs();
  }

 private:
  void run(std::span<WaitSearch> searches) {
    for (int round = 0; round < most_rounds; ++round) {
      bool unfinished = false;
      for (WaitSearch& search : searches) {
        if (search.done && search.named) continue;
        step(search);
        unfinished = unfinished || !search.done || !search.named;
      }
      if (!unfinished) break;
      heap_.fetch();
    }
  }

  /// Says of the results that are waited for which thread's they are, where that is known in time.
  void find_jobs() {
    GeventJobs jobs(heap_);
    for (int round = 0; round < most_rounds; ++round) {
      heap_.begin();
      for (const WaitSearch& search : searches_) {
        if (GeventJobs::is_worker(*search.greenlet)) jobs.read(search);
      }
      if (!heap_.pending()) break;
      heap_.fetch();
    }
    if (heap_.pending()) return;
    for (const WaitSearch& search : searches_) {
      auto& waiting = search.greenlet->waiting;
      if (!waiting || waiting->kind != "result") continue;
      if (auto job = jobs.find(waiting->value)) waiting = std::move(job);
    }
  }

  std::unique_ptr<PythonVariables> variables_of(const Greenlet& greenlet) const {
    if (greenlet.state != State::suspended && greenlet.state != State::running) return nullptr;
    if (greenlet.python_chain) return std::make_unique<PythonVariables>(layout_, *greenlet.python_chain);
    if (greenlet.state == State::suspended) {
      if (!greenlet.python) return nullptr;
      return std::make_unique<PythonVariables>(layout_, PythonRequest::of_greenlet(greenlet));
    }
    if (!greenlet.tid) return nullptr;
    const auto thread = std::ranges::find_if(
        threads_, [&](const PythonThread& one) { return one.tid == greenlet.tid && one.frame != 0; });
    if (thread == threads_.end()) return nullptr;
    return std::make_unique<PythonVariables>(
        layout_, PythonRequest::of_thread(*thread, greenlet.slice.start, greenlet.stack),
        GeventJobs::is_worker(greenlet) ? most_frames_of_worker : PythonVariables::most_frames);
  }

  void step(WaitSearch& search) {
    if (!search.named) {
      heap_.begin();
      if (auto name = given_name(heap_, *search.greenlet)) search.greenlet->name = *std::move(name);
      search.named = !heap_.pending();
    }
    const State state = search.greenlet->state;
    if (state != State::suspended && state != State::orphaned) search.done = true;
    if (search.done) return;
    heap_.begin();
    for (; search.asked < kinds; ++search.asked) {
      auto waiting = ask(search);
      if (heap_.pending()) return;
      if (!waiting) continue;
      search.greenlet->waiting = std::move(waiting);
      break;
    }
    search.done = true;
  }

  static constexpr std::uint8_t kinds = 3;
  std::optional<Waiting> ask(WaitSearch& search) {
    switch (search.asked) {
      case 0:
        return gevent_.find(search);
      case 1:
        return eventlet_.find(search);
      default:
        return switched_.find(search);
    }
  }

  const PythonLayout& layout_;
  std::vector<PythonThread> threads_;
  Heap heap_;
  std::unordered_map<Address, const Greenlet*> by_address_;
  std::unordered_map<std::string, const WaitSearch*> by_id_;
  std::vector<WaitSearch> searches_;
  GeventWaits gevent_;
  EventletWaits eventlet_;
  SwitchedWaits switched_;
};

}  // namespace

void find_waits(const Target& target, const PythonRuntime& python, std::span<Greenlet* const> greenlets,
                const WaitContext& context) {
  Finder(target, python, greenlets, context).run();
}

}  // namespace coppice::inspect
