// Walks of this process's own stacks, in every frame shape, against two other unwinders: libgcc's and
// libdw's.
#include <unistd.h>

#include <map>
#include <set>
#include <string>

#include "inspect/unwind/unwinder.hpp"
#include "inspect/worker/worker.hpp"
#include "tests/support/catch.hpp"
#include "tests/unwind/capture.hpp"
#include "tests/unwind/libdw_frames.hpp"

using namespace coppice::inspect;
using coppice::inspect::testing::Capture;
using coppice::inspect::testing::captures;
using coppice::inspect::testing::ExpectedFrame;
using coppice::inspect::testing::LibdwUnwinder;

#define SHAPE_VARIANT(variant) extern "C" void shapes_##variant();
#include "shape_variants.inc"  // made by CMake: one line for each build of shapes.cpp
#undef SHAPE_VARIANT

namespace {

struct Variant {
  const char* name;
  void (*run)();
};
#define SHAPE_VARIANT(variant) {#variant, &shapes_##variant},
const Variant variants[] = {
#include "shape_variants.inc"
};

void compare(const Capture& capture, const Walk& walk) {
  INFO("shape: " << capture.shape);
  if (walk.error) INFO("error: " << walk.error->message);
  INFO("error: " << (walk.error ? walk.error->message : "none"));
  CHECK(walk.end == End::base);
  REQUIRE(capture.expected.size() > 3);
  const std::size_t both = std::min(walk.frames.size(), capture.expected.size());
  for (std::size_t i = 0; i < both; ++i) {
    INFO("frame " << i);
    REQUIRE(walk.frames[i].pc == capture.expected[i].pc);
    REQUIRE(walk.frames[i].sp == capture.expected[i].sp);
    REQUIRE(walk.frames[i].exact == capture.expected[i].exact);
  }
  CHECK(walk.frames.size() == capture.expected.size());
}

void compare_with_libdw(const Walk& walk, const std::vector<ExpectedFrame>& expected) {
  INFO("by libdw");
  REQUIRE(expected.size() > 3);
  CHECK(walk.frames.size() == expected.size());
  for (std::size_t i = 0; i < std::min(walk.frames.size(), expected.size()); ++i) {
    INFO("frame " << i);
    REQUIRE(walk.frames[i].pc == expected[i].pc);
    // libdw calls the signal trampoline an activation too, so only one direction compares.
    if (walk.frames[i].exact) REQUIRE(expected[i].exact);
  }
}

}  // namespace

extern "C" void at_bottom(const char*, const char* shape) {
  coppice::inspect::testing::capture_here(shape);
}
extern "C" void at_signal(const char*, const char* shape, const void* context) {
  coppice::inspect::testing::capture_interrupted(shape, context);
}

TEST_CASE("every shape, compiler and optimisation gives the frames of libgcc and libdw") {
  Worker worker({.program = COPPICE_WORKER_PROGRAM});
  Unwinder unwinder(worker);
  auto target = open_process(::getpid());
  REQUIRE(target.ok());
  LibdwUnwinder libdw;
  bool saw_large = false;
  bool saw_huge = false;
  bool saw_signal = false;
  for (const Variant& variant : variants) {
    INFO("variant: " << variant.name);
    captures().clear();
    variant.run();
    REQUIRE(captures().size() >= 20);
    std::vector<WalkRequest> requests;
    for (const Capture& capture : captures()) requests.push_back(capture.request());
    const std::vector<Walk> walks = unwinder.walk(**target, requests);
    REQUIRE(walks.size() == requests.size());
    for (std::size_t i = 0; i < walks.size(); ++i) {
      compare(captures()[i], walks[i]);
      compare_with_libdw(walks[i], libdw.frames(captures()[i]));
      for (const RawFrame& frame : walks[i].frames) {
        saw_large |= frame.cfa > frame.sp + 64 * 1024 && frame.cfa < frame.sp + 1024 * 1024;
        saw_huge |= frame.cfa > frame.sp + 1024 * 1024;
        saw_signal |= frame.signal_trampoline;
      }
    }
  }
  CHECK(saw_large);
  CHECK(saw_huge);
  CHECK(saw_signal);
  const UnwindStats& stats = unwinder.stats();
  CHECK(stats.rules_learned > 100);
  CHECK(stats.rules_unusable == 0);
  CHECK(stats.worker_restarts == 0);
  WARN(stats.frames << " frames, " << stats.rules_learned << " rules learned, " << std::size(variants)
                    << " variants");
}
