// Memory, SliceMemory and the fakes, without any process.
#include "tests/support/catch.hpp"

#include <array>
#include <cstring>
#include <numeric>
#include <vector>

#include "inspect/memory/cached_memory.hpp"
#include "inspect/memory/fakes.hpp"
#include "inspect/memory/slice_memory.hpp"

using namespace coppice::inspect;

namespace {

std::vector<std::byte> counted(std::size_t size, unsigned from) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(from + i);
  return bytes;
}

/// How many of `size` bytes can be read.
std::size_t readable(const Memory& memory, Address address, std::size_t size) {
  std::vector<std::byte> bytes(size);
  return memory.read_some(address, bytes);
}

}  // namespace

TEST_CASE("a read is exact or says which byte is missing") {
  FakeMemory memory;
  memory.put(0x1000, counted(16, 1));
  std::array<std::byte, 16> into{};
  REQUIRE(memory.read(0x1000, into).ok());
  CHECK(into[15] == std::byte{16});
  const auto failed = memory.read(0x1008, into);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().code == ErrorCode::unreadable);
  CHECK(failed.error().address == 0x1010);
  CHECK(memory.read_some(0x1008, into) == 8);
  CHECK(memory.read_value<std::uint32_t>(0x1000).value() == 0x04030201);
  CHECK_FALSE(memory.read_value<std::uint64_t>(0x0fff).ok());
}

TEST_CASE("regions that touch are read as one, and removed ones are gone") {
  FakeMemory memory;
  memory.put(0x1000, counted(16, 0));
  memory.put(0x1010, counted(16, 16));
  CHECK(readable(memory, 0x1000, 40) == 32);
  memory.remove(0x1008, 4);
  CHECK(readable(memory, 0x1000, 40) == 8);
  CHECK(memory.read_value<std::uint8_t>(0x100c).value() == 12);
}

TEST_CASE("strings end at the NUL, the limit or the hole") {
  FakeMemory memory;
  const std::string text(300, 'x');
  memory.put(0x2000, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
  CHECK(memory.read_string(0x2000, 1000).value() == text);
  CHECK(memory.read_string(0x2000, 257).value().size() == 257);
  memory.remove(0x2000 + 299, 100);
  CHECK(memory.read_string(0x2000, 1000).value().size() == 299);
  CHECK_FALSE(memory.read_string(0x3000, 10).ok());
  CHECK(memory.read_string(0x2000, 0).value().empty());
}

TEST_CASE("reads never run around the end of the address space") {
  FakeMemory memory;
  memory.put(UINT64_MAX - 7, counted(7, 1));
  memory.put(0, counted(16, 1));
  std::array<std::byte, 32> into{};
  CHECK(memory.read_some(UINT64_MAX - 7, into) <= 8);
  const SliceMemory slice({UINT64_MAX - 100, UINT64_MAX, 0, 0}, counted(100, 0), &memory);
  CHECK(slice.read_some(UINT64_MAX - 4, into) <= 5);
}

TEST_CASE("a slice is its heap copy, then the live stack, and nothing at or above stop") {
  FakeMemory target;
  target.put(0x50000, counted(64, 100));                             // the heap copy
  target.put(0x7000, std::vector<std::byte>(512, std::byte{0xee}));  // the live stack, all over
  const Slice slice{0x7000, 0x7080, 0x50000, 64};
  const SliceMemory memory = SliceMemory::fetch(slice, target);
  REQUIRE(memory.stack().size() == 128);
  CHECK(memory.stack()[63] == std::byte{163});
  CHECK(memory.stack()[64] == std::byte{0xee});
  CHECK(memory.read_value<std::uint8_t>(0x7000).value() == 100);
  CHECK(memory.read_value<std::uint8_t>(0x7040).value() == 0xee);
  // Outside the range it is the target's memory, read across both edges.
  CHECK(readable(memory, 0x7070, 64) == 64);
  target.put(0x6ff8, counted(8, 1));
  CHECK((memory.read_value<std::uint64_t>(0x6ffc).value() >> 32 & 0xff) == 100);
}

TEST_CASE("nothing saved, everything saved, and impossible slices") {
  FakeMemory target;
  target.put(0x50000, counted(64, 1));
  target.put(0x7000, counted(64, 101));
  CHECK(SliceMemory::fetch({0x7000, 0x7040, 0, 0}, target).stack()[0] == std::byte{101});
  CHECK(SliceMemory::fetch({0x7000, 0x7040, 0x50000, 64}, target).stack()[0] == std::byte{1});
  CHECK(SliceMemory::fetch({0x7000, 0x7040, 0x50000, 65}, target).stack().empty());
  CHECK(SliceMemory::fetch({0x7040, 0x7000, 0x50000, 0}, target).stack().empty());
  CHECK(SliceMemory::fetch({0x7000, UINT64_MAX, 0x50000, 64}, target).stack().empty());
}

TEST_CASE("a slice larger than most is stitched all the same, and a lie about its size allocates nothing") {
  FakeMemory target;
  const std::size_t size = 5 << 20;
  target.put(0x50000000, counted(size, 3));
  target.put(0x70000000, counted(2 * size, 9));
  const SliceMemory memory =
      SliceMemory::fetch({0x70000000, 0x70000000 + 2 * size, 0x50000000, size}, target);
  REQUIRE(memory.stack().size() == 2 * size);
  CHECK(memory.stack()[size - 1] == static_cast<std::byte>(3 + size - 1));
  CHECK(memory.stack()[size] == static_cast<std::byte>(9 + size));
  const std::uint64_t huge = std::uint64_t{1} << 30;
  const SliceMemory lie = SliceMemory::fetch({0x70000000, 0x70000000 + huge, 0x50000000, huge}, target);
  CHECK(lie.stack().size() == size);
}

TEST_CASE("what is missing of a slice is never filled up from elsewhere") {
  FakeMemory target;
  target.put(0x50000, counted(64, 1));
  target.put(0x7000, std::vector<std::byte>(128, std::byte{0xee}));
  target.remove(0x50020, 8);
  const SliceMemory cut = SliceMemory::fetch({0x7000, 0x7080, 0x50000, 64}, target);
  CHECK(cut.stack().size() == 32);
  CHECK(readable(cut, 0x7000, 128) == 32);
  CHECK(readable(cut, 0x7060, 8) == 0);
  const SliceMemory alone({0x7000, 0x7010, 0, 0}, counted(16, 0), nullptr);
  CHECK(readable(alone, 0x7008, 16) == 8);
  CHECK(readable(alone, 0x6fff, 1) == 0);
}

TEST_CASE("the Nth read fails, alone or with all that follow") {
  FakeMemory memory;
  memory.put(0x1000, counted(64, 0));
  std::array<std::byte, 8> a{}, b{}, c{};
  std::array requests{ReadRequest{0x1000, a, 0}, ReadRequest{0x1008, b, 0}, ReadRequest{0x1010, c, 0}};
  const FailNth once(memory, 1);
  once.read_batch(requests);
  CHECK((requests[0].got == 8 && requests[1].got == 0 && requests[2].got == 8));
  CHECK(once.reads() == 3);
  const FailNth from_then_on(memory, 1, true);
  from_then_on.read_batch(requests);
  CHECK((requests[0].got == 8 && requests[1].got == 0 && requests[2].got == 0));
}

TEST_CASE("a cached memory says what the memory says, byte for byte, and reads each page once") {
  FakeMemory memory;
  std::vector<std::byte> bytes(5 * CachedMemory::page_size);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 4096);
  memory.put(0x10000, bytes);
  memory.remove(0x12800, 16);  // a page that is not readable as a whole
  for (const std::size_t most : {std::size_t{2}, std::size_t{100}}) {
    const CachedMemory cached(memory, most);
    for (Address at = 0xffe0; at < 0x15020; at += 7) {
      for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{8}, std::size_t{100},
                                     std::size_t{4096}, std::size_t{9000}}) {
        std::vector<std::byte> one(size), other(size);
        const std::size_t got = memory.read_some(at, one);
        REQUIRE(cached.read_some(at, other) == got);
        REQUIRE(std::equal(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(got), other.begin()));
      }
    }
  }
  const FailNth counted(memory);
  const CachedMemory cached(counted);
  for (Address at = 0x10000; at < 0x12000; at += 8) REQUIRE(cached.read_value<std::uint64_t>(at).ok());
  CHECK(counted.reads() == 2);
  CHECK(!cached.read_value<std::uint64_t>(UINT64_MAX - 3).ok());
}
