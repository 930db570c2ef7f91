#include "samples/zoo/forest.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "samples/zoo/park.hpp"
#include "samples/zoo/tree.hpp"

namespace coppice::zoo {

namespace {

constexpr std::size_t stack_size = 64U << 20;  // the trunk of a tree is hundreds of greenlets deep

void* grow_tree(void* tree) {
  static_cast<Tree*>(tree)->grow();
  return nullptr;
}

pthread_t start_thread(Tree& tree) {
  pthread_attr_t attributes;
  pthread_t thread;
  if (::pthread_attr_init(&attributes) != 0 || ::pthread_attr_setstacksize(&attributes, stack_size) != 0 ||
      ::pthread_create(&thread, &attributes, grow_tree, &tree) != 0) {
    std::fprintf(stderr, "coppice-zoo: cannot start a thread with a stack of %zu MB\n", stack_size >> 20);
    std::exit(1);
  }
  ::pthread_attr_destroy(&attributes);
  return thread;
}

}  // namespace

unsigned run_forest(const ForestPlan& plan, const std::function<void()>& open) {
  int release[2];
  if (::pipe(release) != 0) {
    std::perror("coppice-zoo: pipe");
    std::exit(1);
  }
  std::vector<std::unique_ptr<Tree>> trees;
  std::vector<pthread_t> threads;
  for (unsigned i = 0; i < plan.threads; ++i) {
    const unsigned share = plan.greenlets / plan.threads + (i < plan.greenlets % plan.threads ? 1 : 0);
    trees.push_back(std::make_unique<Tree>(plan.seed * 1'000 + i, share, release[0]));
    threads.push_back(start_thread(*trees.back()));
  }
  for (const auto& tree : trees) tree->wait_until_parked();

  park_blocking([](void* function) { (*static_cast<const std::function<void()>*>(function))(); },
                const_cast<std::function<void()>*>(&open));

  ::close(release[1]);
  unsigned finished = 0;
  for (unsigned i = 0; i < plan.threads; ++i) {
    ::pthread_join(threads[i], nullptr);
    finished += trees[i]->finished();
  }
  ::close(release[0]);
  return finished;
}

}  // namespace coppice::zoo
