#include "tui/model/sampler.hpp"

#include <utility>

namespace coppice::tui {

Sampler::Work sampling(std::unique_ptr<SnapshotSource> source, inspect::SnapshotOptions options,
                       SharedChoice choice) {
  struct Sampling {
    std::unique_ptr<SnapshotSource> source;
    inspect::SnapshotOptions options;
    SharedChoice choice;
    SampleMaker maker;
  };
  auto state =
      std::make_shared<Sampling>(Sampling{std::move(source), std::move(options), std::move(choice), {}});
  return [state] {
    auto update = std::make_shared<Update>();
    state->options.choice = state->choice->load();
    const auto began = std::chrono::steady_clock::now();
    auto snapshot = state->source->take(state->options);
    const auto cost = std::chrono::steady_clock::now() - began;
    if (snapshot.ok()) {
      update->sample = state->maker.make(std::move(snapshot).value(), cost);
    } else {
      update->error = std::move(snapshot).error();
    }
    return update;
  };
}

}  // namespace coppice::tui
