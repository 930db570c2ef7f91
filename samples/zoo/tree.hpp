// One thread's part of a forest.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <vector>

#include "coppice/greenlet.hpp"
#include "samples/zoo/shapes.hpp"

namespace coppice::zoo {

/// Thread-safety: everything but the constructor and `wait_until_parked()` belongs to the thread that runs
/// `grow()`.
class Tree {
 public:
  /// `release` is a descriptor that becomes readable (or ends) when the tree is to be taken down.
  Tree(std::uint64_t seed, unsigned greenlets, int release);

  /// Grows, waits for the release, lets every greenlet finish. To be called in the thread's main greenlet.
  void grow();

  void wait_until_parked() const noexcept { parked_.wait(false); }  ///< until the last link waits
  unsigned finished() const noexcept { return finished_; }

  /// A random shape, by its share.
  const Shape& pick_shape();
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  void be_link(unsigned links_left);
  void be_leaf();
  Greenlet start_link(unsigned links_left, bool comes_back);
  void plant_leaves(unsigned count);
  void disturb(unsigned links_left);
  void visit(const Greenlet& greenlet);
  void wait_for_release();

  std::mt19937_64 random_;
  int release_;
  unsigned links_;        ///< of the whole trunk
  unsigned leaves_left_;  ///< to be planted
  std::vector<Greenlet> leaves_;
  Greenlet visitor_;  ///< whom a leaf switches back to
  bool falling_ = false;
  unsigned finished_ = 0;
  std::atomic<bool> parked_ = false;
};

}  // namespace coppice::zoo
