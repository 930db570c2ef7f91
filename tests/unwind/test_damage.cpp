// Damaged .eh_frame: only the frames that need the damaged parts are hurt, and nothing ever hangs.
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "inspect/unwind/unwinder.hpp"
#include "inspect/worker/worker.hpp"
#include "tests/support/catch.hpp"
#include "tests/unwind/capture.hpp"
#include "tests/unwind/damaged_image.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

extern "C" void shapes_gxx_O2_fp();
extern "C" void at_bottom(const char*, const char* shape) {
  capture_here(shape);
}
extern "C" void at_signal(const char*, const char* shape, const void* context) {
  capture_interrupted(shape, context);
}

namespace {

// What all tests here start from: walks of good stacks by good unwind information.
struct Scene {
  Scene()
      : self(std::filesystem::read_symlink("/proc/self/exe").string()),
        real(std::move(open_process(::getpid())).value()),
        image(self),
        target(*real, image, self),
        worker({.program = COPPICE_WORKER_PROGRAM}) {
    captures().clear();
    shapes_gxx_O2_fp();
    for (const Capture& capture : captures()) requests.push_back(capture.request());
    good = walk();
  }

  // By a new Unwinder, so that nothing is remembered.
  std::vector<Walk> walk() {
    Unwinder unwinder(worker);
    target.image_changed();
    auto walks = unwinder.walk(target, requests);
    unusable += unwinder.stats().rules_unusable;
    return walks;
  }

  // The FDEs of the image that the good walks need.
  std::vector<FdeBytes> needed() const {
    std::set<std::size_t> offsets;
    std::vector<FdeBytes> fdes;
    for (const Walk& walk : good) {
      for (const RawFrame& frame : walk.frames) {
        const FdeBytes* fde = fde_of(frame);
        if (fde != nullptr && offsets.insert(fde->file_offset).second) fdes.push_back(*fde);
      }
    }
    return fdes;
  }

  const FdeBytes* fde_of(const RawFrame& frame) const {
    const std::uint64_t lookup = frame.exact ? frame.pc : frame.pc - 1;
    if (!target.damaged_module().contains(lookup)) return nullptr;
    return image.fde_at(lookup - target.damaged_module().bias);
  }

  // Walks must be as before up to the first frame whose FDE is in the damaged part of the file, and
  // throughout when there is none. Returns how many walks were hurt.
  std::size_t check_only_hurt_by(const std::vector<Walk>& walks, std::size_t damage_start,
                                 std::size_t damage_end) {
    REQUIRE(walks.size() == good.size());
    std::size_t hurt = 0;
    for (std::size_t i = 0; i < walks.size(); ++i) {
      INFO("walk " << i << ", " << captures()[i].shape);
      const Walk& before = good[i];
      std::size_t sure = 0;  // frames that do not depend on the damage
      for (; sure < before.frames.size(); ++sure) {
        const FdeBytes* fde = fde_of(before.frames[sure]);
        if (fde != nullptr && fde->file_offset < damage_end && fde->file_offset + fde->size > damage_start)
          break;
      }
      const bool whole = sure == before.frames.size();
      const std::size_t same = std::min(before.frames.size(), whole ? sure : sure + 1);
      REQUIRE(walks[i].frames.size() >= same);
      for (std::size_t k = 0; k < same; ++k) {
        REQUIRE(walks[i].frames[k].pc == before.frames[k].pc);
        REQUIRE(walks[i].frames[k].sp == before.frames[k].sp);
      }
      if (whole) {
        CHECK(walks[i].end == before.end);
        CHECK(walks[i].frames.size() == before.frames.size());
      } else if (walks[i].end != End::base) {
        ++hurt;
        REQUIRE(walks[i].error);
        CHECK_FALSE(walks[i].error->message.empty());
      }
    }
    return hurt;
  }

  // Replaces the instructions of an FDE by these, and the rest of it by DW_CFA_nop.
  void replace_instructions(const FdeBytes& fde, std::span<const std::uint8_t> instructions) {
    const std::size_t room = fde.file_offset + fde.size - fde.instructions;
    REQUIRE(instructions.size() <= room);
    std::memset(image.bytes().data() + fde.instructions, 0, room);
    std::memcpy(image.bytes().data() + fde.instructions, instructions.data(), instructions.size());
  }

  std::string self;
  std::unique_ptr<Target> real;
  DamagedImage image;
  DamagedTarget target;
  Worker worker;
  std::vector<WalkRequest> requests;
  std::vector<Walk> good;
  std::uint64_t unusable = 0;
};

}  // namespace

TEST_CASE("bits flipped in one FDE hurt only the frames of its function") {
  Scene scene;
  REQUIRE(scene.good.size() >= 20);
  for (const Walk& walk : scene.good) REQUIRE(walk.end == End::base);
  const std::vector<FdeBytes> needed = scene.needed();
  REQUIRE(needed.size() >= 15);
  std::size_t hurt = 0;
  constexpr unsigned seeds = 100;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const FdeBytes& victim = needed[random() % needed.size()];
    // Its addresses stay: an FDE that covers others, or has another length, is damage to those too.
    const std::size_t from = victim.instructions;
    const std::size_t to = victim.file_offset + victim.size;
    for (unsigned flips = 1 + random() % 8; flips > 0; --flips) {
      scene.image.bytes()[from + random() % (to - from)] ^= std::byte(1U << random() % 8);
    }
    hurt += scene.check_only_hurt_by(scene.walk(), victim.file_offset, to);
    scene.image.heal();
  }
  CHECK(hurt > seeds / 10);
  CHECK(scene.unusable > 0);
  WARN(hurt << " walks hurt in " << seeds << " runs, " << scene.unusable << " rules unusable, "
            << scene.worker.restarts() << " workers replaced");
}

TEST_CASE("bits flipped anywhere in .eh_frame and its index never crash nor hang the inspector") {
  Scene scene;
  std::size_t frames = 0;
  constexpr unsigned seeds = 100;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(1000 + seed);
    const bool in_index = seed % 2 == 0;
    const std::size_t from = in_index ? scene.image.eh_frame_hdr_offset() : scene.image.eh_frame_offset();
    const std::size_t size = in_index ? scene.image.eh_frame_hdr_size() : scene.image.eh_frame_size();
    // Every second run concentrates on the beginning: headers and the first CIEs.
    const std::size_t reach = seed % 4 < 2 ? std::min<std::size_t>(size, 64) : size;
    for (unsigned flips = 1 + random() % 200; flips > 0; --flips) {
      scene.image.bytes()[from + random() % reach] ^= std::byte(1U << random() % 8);
    }
    const std::vector<Walk> walks = scene.walk();
    REQUIRE(walks.size() == scene.good.size());
    for (std::size_t i = 0; i < walks.size(); ++i) {
      REQUIRE(walks[i].end != End::unwalked);
      REQUIRE_FALSE(walks[i].frames.empty());
      CHECK(walks[i].frames[0].pc == scene.good[i].frames[0].pc);
      CHECK((walks[i].end == End::base || walks[i].error.has_value()));
      frames += walks[i].frames.size();
    }
    scene.image.heal();
  }
  CHECK(frames > 0);
  CHECK(scene.unusable > 0);
  WARN(frames << " frames in " << seeds << " runs, " << scene.unusable << " rules unusable, "
              << scene.worker.restarts() << " workers replaced");
}

TEST_CASE("a damaged index alone costs nothing: FDEs are found without it") {
  Scene scene;
  std::memset(scene.image.bytes().data() + scene.image.eh_frame_hdr_offset(), 0xa5,
              scene.image.eh_frame_hdr_size());
  CHECK(scene.check_only_hurt_by(scene.walk(), 0, 0) == 0);
}

TEST_CASE("an endless expression stalls only the frames of its function") {
  Scene scene;
  // DW_CFA_def_cfa_expression, 3 bytes: DW_OP_skip -3.
  constexpr std::array<std::uint8_t, 5> endless{0x0f, 3, 0x2f, 0xfd, 0xff};
  const FdeBytes victim = scene.needed()[2];
  scene.replace_instructions(victim, endless);
  const std::vector<Walk> walks = scene.walk();
  CHECK(scene.check_only_hurt_by(walks, victim.file_offset, victim.file_offset + victim.size) > 0);
  std::size_t stalled = 0;
  for (const Walk& walk : walks) {
    if (!walk.error) continue;
    CHECK(walk.end == End::error);
    CHECK(walk.error->code == ErrorCode::bad_unwind_info);
    stalled += walk.error->message.find("does not come to an end") != std::string::npos ? 1 : 0;
  }
  CHECK(stalled > 0);
}

TEST_CASE("endless expressions everywhere end within a bounded time") {
  Scene scene;
  constexpr std::array<std::uint8_t, 5> endless{0x0f, 3, 0x2f, 0xfd, 0xff};
  std::size_t replaced = 0;
  for (const FdeBytes& fde : scene.needed()) {
    if (fde.file_offset + fde.size - fde.instructions < endless.size()) continue;
    scene.replace_instructions(fde, endless);
    ++replaced;
  }
  REQUIRE(replaced >= 15);
  std::size_t stalled = 0;
  for (const Walk& walk : scene.walk())
    stalled += walk.error && walk.error->code == ErrorCode::bad_unwind_info ? 1 : 0;
  CHECK(stalled >= 15);
}

TEST_CASE("an expression that overflows libunwind's stack kills the worker and nothing else") {
  Scene scene;
  // The victim swallows the FDEs behind it to make room for a long run of DW_OP_lit1.
  const FdeBytes victim = scene.needed()[2];
  constexpr std::size_t literals = 4000;
  std::size_t swallowed = victim.size;
  for (const FdeBytes& fde : scene.image.fdes()) {
    if (fde.file_offset == victim.file_offset + swallowed && swallowed < literals + 100)
      swallowed += fde.size;
  }
  REQUIRE(swallowed > literals);
  auto* bytes = scene.image.bytes().data();
  const auto length = static_cast<std::uint32_t>(swallowed - 4);
  std::memcpy(bytes + victim.file_offset, &length, sizeof length);
  std::memset(bytes + victim.instructions, 0, victim.file_offset + swallowed - victim.instructions);
  const std::array<std::uint8_t, 3> begin{0x0f, literals % 128 | 128, literals / 128};
  std::memcpy(bytes + victim.instructions, begin.data(), begin.size());
  std::memset(bytes + victim.instructions + begin.size(), 0x31, literals);
  const auto restarts = scene.worker.restarts();
  CHECK(scene.check_only_hurt_by(scene.walk(), victim.file_offset, victim.file_offset + swallowed) > 0);
  CHECK(scene.worker.restarts() > restarts);
}
