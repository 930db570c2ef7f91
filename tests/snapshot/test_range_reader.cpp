// Ranges read together hold what each would hold read by itself.
#include <random>

#include "inspect/greenlets/range_reader.hpp"
#include "inspect/memory/fakes.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;

TEST_CASE("merged ranges equal single reads, over holes and overlaps") {
  FakeMemory memory;
  std::vector<std::byte> bytes(1U << 20U);
  std::mt19937 random(GENERATE(1U, 2U, 3U));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  constexpr Address base = 0x10000;
  memory.put(base, bytes);
  for (int i = 0; i < 50; ++i) memory.remove(base + random() % bytes.size(), random() % 3000);

  RangeReader reader(memory);
  std::vector<ReadRequest> singles;
  std::vector<std::vector<std::byte>> buffers(2000);
  for (std::vector<std::byte>& buffer : buffers) {
    const Address address = base - 0x1000 + random() % (bytes.size() + 0x2000);
    buffer.resize(random() % (random() % 10 == 0 ? 50'000 : 700));
    CHECK(reader.add(address, buffer.size()) == singles.size());
    singles.push_back({address, buffer, 0});
  }
  memory.read_batch(singles);
  reader.read();
  std::size_t whole = 0;
  for (std::size_t i = 0; i < singles.size(); ++i) {
    const std::span<const std::byte> merged = reader.bytes(i);
    REQUIRE(merged.size() == singles[i].got);
    CHECK(std::equal(merged.begin(), merged.end(), buffers[i].begin()));
    whole += singles[i].got == buffers[i].size() ? 1 : 0;
  }
  CHECK(whole > 1000);
  CHECK(whole < singles.size());
}

TEST_CASE("neighbours become one request") {
  FakeMemory memory;
  memory.put(0x1000, std::vector<std::byte>(0x10000));
  const FailNth counting(memory);
  RangeReader reader(counting);
  for (Address at = 0x1000; at < 0x11000; at += 0x100) reader.add(at, 0x80);
  reader.read();
  CHECK(counting.reads() == 1);
  CHECK(reader.bytes(255).size() == 0x80);
  reader.clear();
  reader.add(UINT64_MAX - 3, 100);
  reader.read();
  CHECK(reader.bytes(0).empty());
  CHECK_FALSE(reader.word(0));
}
