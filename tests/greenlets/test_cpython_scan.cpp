// Searching memory for words, and which memory is searched.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "inspect/greenlets/cpython_objects.hpp"
#include "tests/snapshot/fake_target.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

constexpr std::uint64_t page = 4096;

std::vector<Address> addresses(const WordScan& scan) {
  std::vector<Address> all;
  for (const WordHit& hit : scan.hits) all.push_back(hit.address);
  return all;
}

}  // namespace

TEST_CASE("words are found wherever they lie, and only whole and aligned ones") {
  // Larger than what is read at a time, with holes.
  constexpr Address start = 0x100000;
  constexpr std::uint64_t size = 3 << 20;
  FakeMemory memory;
  memory.put(start, std::vector<std::byte>(size));
  memory.remove(start + 5 * page, page);
  memory.remove(start + 512 * 1024 - page, 2 * page);  // across the end of a piece
  const std::uint64_t wanted[] = {0xabcd1230, 0xffff000000000008};
  const std::vector<Address> at{start,
                                start + 8,
                                start + 5 * page - 8,
                                start + 6 * page,
                                start + 512 * 1024 + page,
                                start + (1 << 20) - 8,
                                start + (1 << 20),
                                start + size - 8};
  for (std::size_t i = 0; i < at.size(); ++i) memory.put_value(at[i], wanted[i % 2]);
  memory.put_value(start + 0x104, wanted[0]);      // not aligned
  memory.put_value(start + 0x200, wanted[0] + 1);  // nearly
  memory.put_value(start + 0x208, wanted[0] << 32U);
  const AddressRange whole{start, start + size};
  const WordScan scan = scan_for_words(memory, {&whole, 1}, wanted);
  CHECK(addresses(scan) == at);
  CHECK(scan.bytes == size - 3 * page);
  CHECK_FALSE(scan.too_many);

  const AddressRange parts[] = {
      {start + 4, start + 12}, {start + 16, start + 16}, {start + size - 8, start + size + 100}};
  CHECK(addresses(scan_for_words(memory, parts, wanted)) == std::vector<Address>{start + size - 8});

  WordScanLimits limits;
  limits.hits = 3;
  const WordScan cut = scan_for_words(memory, {&whole, 1}, wanted, limits);
  CHECK(cut.hits.size() == 3);
  CHECK(cut.too_many);
  CHECK(scan_for_words(memory, {&whole, 1}, {}).hits.empty());
}

TEST_CASE("only populated, written, anonymous memory counts as heap") {
  FakeTarget target;
  FakeMemory memory;
  target.memory_ = &memory;
  target.mappings_ = {{0x1000, 0x2000, true, false, true, 0, "/bin/p"},
                      {0x2000, 0x3000, true, true, false, 0, "/bin/p"},
                      {0x3000, 0x9000, true, true, false, 0, "[heap]"},
                      {0xa000, 0xb000, true, true, false, 0, ""},
                      {0xb000, 0xc000, false, false, false, 0, ""},
                      {0xc000, 0xd000, true, true, false, 0, "[anon:py]"},
                      {0xd000, 0xe000, true, true, false, 0, "[stack]"},
                      {0x10000, 0x10000 + (1ULL << 40U), true, true, false, 0, ""}};
  target.populated_[0x3000] = {{0x4000, 0x5000}, {0x7000, 0x9000}};
  std::uint64_t left_out = 0;
  const std::vector<AddressRange> heap = scannable(target, ScanScope::heap, {}, &left_out);
  CHECK(heap ==
        std::vector<AddressRange>{{0x4000, 0x5000}, {0x7000, 0x9000}, {0xa000, 0xb000}, {0xc000, 0xd000}});
  CHECK(left_out == 1);
  const std::vector<AddressRange> written = scannable(target, ScanScope::written, {}, &left_out);
  CHECK(written.size() == 5);
  CHECK(written.front() == AddressRange{0x2000, 0x3000});
}

TEST_CASE(
    "a large heap is searched whole once, then near greenlets, where it has grown, and the rest in turn") {
  constexpr Address start = 0x10000000;
  constexpr std::uint64_t size = 4 << 20, step = 1 << 20;
  constexpr Address vtable = 0x5000;
  FakeMemory memory;
  memory.put(start, std::vector<std::byte>(2 * size));
  FakeTarget target;
  target.memory_ = &memory;
  target.mappings_ = {{start, start + size, true, true, false, 0, "[heap]"}};
  GreenletExtension extension;
  extension.user_vtable = vtable;
  extension.main_vtable = vtable + 8;
  SearchLimits limits;
  limits.whole = size / 2;
  limits.turn = step;
  GreenletFinder finder(target, extension, limits);
  CHECK(finder.find().empty());
  memory.put_value(start + 0x100, vtable);
  std::vector<Address> expected{start + 0x100};
  CHECK(finder.find() == expected);  // nothing was known: all of it again

  const Address far = start + 3 * step + 0x40, near = start + 0x200, grown = start + size + 0x1000;
  memory.put_value(far, vtable);
  memory.put_value(near, vtable + 8);
  target.mappings_[0].end = start + 2 * size;
  memory.put_value(grown, vtable);
  expected = {start + 0x100, near, grown};
  CHECK(finder.find() == expected);  // turn: [0, 1 MB)
  CHECK(finder.find() == expected);
  CHECK(finder.find() == expected);
  expected = {start + 0x100, near, far, grown};
  CHECK(finder.find() == expected);  // turn: [3 MB, 4 MB)
  memory.put_value(near, std::uint64_t{0});
  expected = {start + 0x100, far, grown};
  for (int i = 0; i < 10; ++i) CHECK(finder.find() == expected);
  target.mappings_[0].end = start + size;
  expected = {start + 0x100, far};
  CHECK(finder.find() == expected);
  const Address places[] = {start + 0x100};
  CHECK(finder.find_near(places) == std::vector<Address>{start + 0x100});
}

TEST_CASE("a live process's untouched pages are not populated, and stay so when it is searched") {
  constexpr std::size_t pages = 64;
  void* const area = mmap(nullptr, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(area != MAP_FAILED);
  madvise(area, pages * page, MADV_NOHUGEPAGE);
  const auto start = reinterpret_cast<Address>(area);
  const std::uint64_t mark = 0x1234567890abcde8;
  for (const std::size_t touched : {3UL, 4UL, 63UL}) {
    std::memcpy(static_cast<char*>(area) + touched * page + 16, &mark, sizeof mark);
  }
  auto opened = open_process(getpid());
  REQUIRE(opened.ok());
  const Target& target = **opened;
  const std::vector<AddressRange> expected{{start + 3 * page, start + 5 * page},
                                           {start + 63 * page, start + 64 * page}};
  CHECK(target.populated(start, start + pages * page) == expected);
  CHECK(target.populated(start + 3 * page + 100, start + 4 * page + 8) ==
        std::vector<AddressRange>{{start + 3 * page + 100, start + 4 * page + 8}});
  const std::vector<AddressRange> ranges = scannable(target, ScanScope::heap, {});
  const WordScan scan = scan_for_words(target.memory(), ranges, {&mark, 1});
  const std::vector<Address> found = addresses(scan);
  for (const std::size_t touched : {3UL, 4UL, 63UL}) {
    CHECK(std::ranges::find(found, start + touched * page + 16) != found.end());
  }
  CHECK(target.populated(start, start + pages * page) == expected);
  munmap(area, pages * page);
}
