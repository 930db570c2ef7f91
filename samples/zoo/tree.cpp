#include "samples/zoo/tree.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "samples/zoo/park.hpp"
#include "samples/zoo/pattern.hpp"

namespace coppice::zoo {

namespace {

/// Randomly chosen shapes inside each other. Lives on the stack of the greenlet that nests.
class Nest final : public Step {
 public:
  /// `at_level` is called in every frame on the way down, `bottom` in the last one.
  Nest(Tree& tree, unsigned levels, std::function<void(unsigned)> at_level, std::function<void()> bottom)
      : tree_(tree), levels_(levels), at_level_(std::move(at_level)), bottom_(std::move(bottom)) {}

  void run() override {
    at_level_(level_);
    if (level_ == levels_) {
      bottom_();
    } else {
      ++level_;
      tree_.pick_shape().enter(*this);
      --level_;
    }
    zoo_opaque(0);
  }

 private:
  Tree& tree_;
  unsigned levels_;
  unsigned level_ = 0;
  std::function<void(unsigned)> at_level_;
  std::function<void()> bottom_;
};

}  // namespace

Tree::Tree(std::uint64_t seed, unsigned greenlets, int release)
    : random_(seed),
      release_(release),
      links_(
          std::max(1U, greenlets * 14 / 100)),  // of which 7 in 10 end partly saved: see be_link and disturb
      leaves_left_(greenlets - std::min(greenlets, links_)) {}

const Shape& Tree::pick_shape() {
  static const std::uint64_t total = [] {
    std::uint64_t sum = 0;
    for (const Shape& shape : shapes()) sum += shape.share;
    return sum;
  }();
  std::uint64_t at = below(total);
  for (const Shape& shape : shapes()) {
    if (at < shape.share) return shape;
    at -= shape.share;
  }
  std::abort();
}

void Tree::grow() {
  be_link(links_);
  falling_ = true;
  for (const Greenlet& leaf : leaves_) {
    visit(leaf);
    if (!leaf.finished()) std::abort();
  }
}

void Tree::be_link(unsigned links_left) {
  const auto levels = static_cast<unsigned>(2 + below(10));
  const bool starts_next_early = links_left > 0 && below(10) < 7;
  const auto early_level = static_cast<unsigned>(below(levels));
  unsigned leaves = links_left == 0
                        ? leaves_left_
                        : std::min<unsigned>(leaves_left_, below(2 * leaves_left_ / links_left + 1));
  Greenlet next;
  Nest nest(
      *this, levels,
      [&](unsigned level) {
        const auto here = static_cast<unsigned>(level == levels ? leaves : below(leaves + 1));
        leaves -= here;
        plant_leaves(here);
        disturb(links_left);
        if (starts_next_early && level == early_level) next = start_link(links_left - 1, true);
      },
      [&] {
        if (links_left == 0) {
          park_blocking([](void* tree) { static_cast<Tree*>(tree)->wait_for_release(); }, this);
          return;
        }
        if (!next) next = start_link(links_left - 1, false);
        park_switching_to(next);
      });
  nest.run();
}

Greenlet Tree::start_link(unsigned links_left, bool comes_back) {
  Greenlet link = spawn(
      [this, links_left, comes_back] {
        if (comes_back) {
          const Greenlet starter = visitor_;
          starter.switch_to();
        }
        be_link(links_left);
        ++finished_;
      },
      "link");
  if (comes_back) visit(link);
  return link;
}

void Tree::be_leaf() {
  while (!falling_) {
    Nest nest(
        *this, static_cast<unsigned>(1 + below(12)), [](unsigned) {},
        [this] {
          const Greenlet visitor = visitor_;
          park_switching_to(visitor);
        });
    nest.run();
  }
  ++finished_;
}

void Tree::plant_leaves(unsigned count) {
  leaves_left_ -= count;
  for (unsigned i = 0; i < count; ++i) {
    leaves_.push_back(spawn([this] { be_leaf(); }, "leaf"));
    visit(leaves_.back());
  }
}

/// Makes some leaf move. One of the newest leaves was planted close by, so only the current link has to make
/// room; any other one evicts links as well, for good, which the later part of the trunk is spared.
void Tree::disturb(unsigned links_left) {
  if (leaves_.empty() || below(3) != 0) return;
  const std::size_t reach =
      links_left * 4 > links_ * 3 ? leaves_.size() : std::min<std::size_t>(leaves_.size(), 2);
  visit(leaves_[leaves_.size() - 1 - below(reach)]);
}

void Tree::visit(const Greenlet& greenlet) {
  visitor_ = current();
  // leaves_ may grow and move its handles meanwhile.
  const Greenlet target = greenlet;  // NOLINT(performance-unnecessary-copy-initialization)
  target.switch_to();
}

void Tree::wait_for_release() {
  parked_.store(true);
  parked_.notify_all();
  char byte = 0;
  while (::read(release_, &byte, 1) < 0 && errno == EINTR) continue;
}

}  // namespace coppice::zoo
