#include "inspect/python/python_chains.hpp"

#include <algorithm>

namespace coppice::inspect {
namespace {

/// So many chains are followed side by side, which bounds what is in memory at once.
constexpr std::size_t most_side_by_side = std::size_t{1} << 14U;

}  // namespace

PythonChains::PythonChains(const Memory& memory, const PythonLayout& layout, std::size_t most_frames)
    : layout_(layout), most_frames_(most_frames), blocks_(memory) {}

void PythonChains::read(std::span<const PythonRequest> requests, std::size_t& left) {
  while (walks_.size() < requests.size()) walks_.emplace_back(layout_, most_frames_);
  for (std::size_t first = 0; first < requests.size(); first += most_side_by_side) {
    const std::size_t count = std::min(most_side_by_side, requests.size() - first);
    read_side_by_side(first, requests.subspan(first, count), left);
  }
}

void PythonChains::read_side_by_side(std::size_t first, std::span<const PythonRequest> requests,
                                     std::size_t& left) {
  blocks_.clear();
  going_.clear();
  for (const PythonRequest& request : requests) {
    FrameWalk& walk = walks_[first++];
    walk.begin(request, left);
    going_.push_back(&walk);
  }
  while (!going_.empty()) {
    std::erase_if(going_, [&](FrameWalk* walk) { return walk->advance(blocks_); });
    blocks_.fetch();
  }
}

PythonChain& PythonChains::at(std::size_t number) {
  return walks_[number].chain();
}

}  // namespace coppice::inspect
