#include "samples/zoo/exhibit.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "coppice/greenlet.hpp"
#include "samples/zoo/park.hpp"
#include "samples/zoo/pattern.hpp"
#include "samples/zoo/shapes.hpp"

namespace coppice::zoo {

namespace {

/// Parks, then switches to a greenlet.
class Leave final : public Step {
 public:
  explicit Leave(Greenlet target) : target_(std::move(target)) {}
  void run() override {
    park_switching_to(target_);
    zoo_opaque(0);
  }

 private:
  Greenlet target_;
};

void live_in(const Shape& shape) {
  waiting_on("visitors");
  Leave leave(main_greenlet());
  shape.enter(leave);
  waiting_on(nullptr);
}

/// Started above the place where its starter goes on to, and then switched to from down there: whatever its
/// starter put below it has to be saved, the rest can stay.
void evict_part_of_starter(const std::function<void()>& open) {
  current().parent().switch_to();
  park_blocking([](void* function) { (*static_cast<const std::function<void()>*>(function))(); },
                const_cast<std::function<void()>*>(&open));
}

void live_partly_saved(const std::function<void()>& open) {
  const Greenlet evictor = spawn([&open] { evict_part_of_starter(open); }, "running");
  evictor.switch_to();
  Leave leave(evictor);
  zoo_alloca(leave);
}

/// Starts a greenlet below itself and never has to make room.
void live_unsaved(const std::function<void()>& open) {
  Leave leave(spawn([&open] { live_partly_saved(open); }, "partly_saved"));
  zoo_rsp_based(leave);
}

}  // namespace

std::size_t run_exhibit(std::function<void()> open) {
  std::vector<Greenlet> greenlets;
  for (const Shape& shape : shapes()) {
    greenlets.push_back(spawn([&shape] { live_in(shape); }, shape.name));
    greenlets.back().switch_to();
  }
  const Greenlet unstarted = spawn([] {}, "unstarted");
  note_without_stack(unstarted, "unstarted");
  const Greenlet finished = spawn([] {}, "finished");
  finished.switch_to();
  note_without_stack(finished, "finished");

  // Not on this stack: greenlets further in use it.
  const auto shared_open = std::make_shared<std::function<void()>>(std::move(open));
  park_switching_to(spawn([shared_open] { live_unsaved(*shared_open); }, "unsaved"));

  for (const Greenlet& greenlet : greenlets) {
    greenlet.switch_to();
    if (!greenlet.finished()) {
      std::fprintf(stderr, "coppice-zoo: %s did not finish\n", greenlet.name().c_str());
      std::abort();
    }
  }
  return greenlets.size() + 6;  // unstarted, finished, unsaved, partly_saved, running, main
}

}  // namespace coppice::zoo
