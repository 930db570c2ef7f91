// The provider for our runtime against a runtime made by hand.
#include <elf.h>
#include <fmt/format.h>

#include "fake_runtime.hpp"
#include "inspect/greenlets/coppice_provider.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

ProviderReading read(const FakeRuntime& runtime, const ReadOptions& options = {},
                     const CoppiceLimits& limits = {}) {
  auto provider = find_coppice(runtime.target, limits);
  REQUIRE(provider.ok());
  REQUIRE(*provider != nullptr);
  auto reading = (*provider)->read(options);
  REQUIRE(reading.ok());
  return std::move(reading).value();
}

/// A memory under which a slot changes each time it has been read `every` times.
class Restless final : public Memory {
 public:
  Restless(FakeMemory& memory, Address word, int changes) : memory_(memory), word_(word), changes_(changes) {}
  void read_batch(std::span<ReadRequest> requests) const override {
    memory_.read_batch(requests);
    for (const ReadRequest& request : requests) {
      const bool touched = word_ >= request.address && word_ - request.address < request.into.size();
      if (!touched || changes_ <= 0) continue;
      --changes_;
      memory_.put_value(word_, *memory_.read_value<std::uint64_t>(word_) + 2);
    }
  }

 private:
  FakeMemory& memory_;
  Address word_;
  mutable int changes_;
};

}  // namespace

TEST_CASE("every kind of greenlet is read") {
  const FakeRuntime runtime(one_of_each());
  const ProviderReading reading = read(runtime);
  REQUIRE(reading.greenlets.size() == 7);
  CHECK(reading.torn == 0);
  CHECK(reading.switches == 1234);
  CHECK(reading.bytes_copied == 5678);
  CHECK(reading.warnings.empty());

  const Greenlet& main = reading.greenlets[0];
  CHECK(main.id == "1");
  CHECK(main.main);
  CHECK(main.state == State::running);
  CHECK(main.tid == 4242);
  CHECK(main.nstid == 77);
  CHECK_FALSE(main.parent);
  CHECK(main.slice.stop == FakeRuntime::stack_high);
  CHECK(main.registers.pc() == 0x401500);
  CHECK(main.slice.start == FakeRuntime::stack_low + 0x1000 - 128);
  CHECK(main.stack.size() == main.slice.stop - main.slice.start);
  CHECK(main.last_switch_unix_ns == 1'700'000'000'000'002'000);

  const Greenlet& partly = reading.greenlets[1];
  CHECK(partly.name == "partly");
  CHECK(partly.parent == "1");
  CHECK(partly.address == runtime.slot(1));
  CHECK(partly.spawn_pc == 0x402001);
  CHECK(partly.switches == 11);
  CHECK(partly.bytes_saved == 101);
  CHECK(partly.bytes_restored == 201);
  CHECK_FALSE(partly.waiting);
  REQUIRE(partly.stack.size() == 0x800);
  CHECK(partly.stack[0x2ff] == std::byte{0xff});  // the last saved one
  CHECK(partly.stack[0x300] == std::byte{0xee});  // the first still on the stack
  CHECK(partly.registers.pc() == FakeRuntime::resume_pc);
  CHECK(partly.registers.sp() == partly.slice.start);
  CHECK(partly.registers.get(x86_64::rbp) == 0x1716151413121110);
  CHECK(partly.registers.known(x86_64::rbx));
  CHECK_FALSE(partly.registers.known(x86_64::r12));

  CHECK(reading.greenlets[2].parent == "2");
  REQUIRE(reading.greenlets[2].waiting);
  CHECK(reading.greenlets[2].waiting->kind == "fd");
  CHECK(reading.greenlets[2].waiting->value == 9);
  CHECK(reading.greenlets[2].stack.size() == 0x100);
  CHECK(reading.greenlets[3].stack == std::vector<std::byte>(0x100, std::byte{0xee}));
  CHECK(reading.greenlets[4].state == State::unstarted);
  CHECK(reading.greenlets[5].state == State::finished);
  CHECK(reading.greenlets[6].state == State::orphaned);
  CHECK(reading.greenlets[6].id == "17");
  CHECK_FALSE(reading.greenlets[6].tid);
  CHECK(reading.greenlets[6].stack.size() == 0x30);
  for (const Greenlet& greenlet : reading.greenlets) CHECK_FALSE(greenlet.error);
}

TEST_CASE("only the stacks that are wanted are read") {
  const FakeRuntime runtime(one_of_each());
  for (const Greenlet& greenlet : read(runtime, {.stacks = false}).greenlets) CHECK(greenlet.stack.empty());
  ReadOptions options;
  options.wants_stack = [](const Greenlet& greenlet) { return greenlet.id == "2"; };
  for (const Greenlet& greenlet : read(runtime, options).greenlets) {
    CHECK(greenlet.stack.empty() == (greenlet.id != "2"));
  }
}

TEST_CASE("an unreadable piece ends the stack there, and spoils no other") {
  FakeRuntime runtime(one_of_each());
  runtime.memory.remove(runtime.copy(1) + 0x200, 0x10);
  const ProviderReading reading = read(runtime);
  CHECK(reading.greenlets[1].stack.size() == 0x200);
  CHECK(reading.greenlets[1].name == "partly");
  CHECK(reading.greenlets[2].stack.size() == 0x100);
}

TEST_CASE("a greenlet that changes while it is read is read again") {
  FakeRuntime runtime(one_of_each());
  const Restless memory(runtime.memory, runtime.slot(1) + runtime.fields.greenlet.version, 3);
  runtime.target.memory_ = &memory;
  const ProviderReading reading = read(runtime);
  CHECK(reading.torn > 0);
  CHECK(reading.retried > 0);
  CHECK(reading.lost == 0);
  CHECK(reading.greenlets[1].stack.size() == 0x800);
  CHECK_FALSE(reading.greenlets[1].error);
}

TEST_CASE("one that never holds still is shown as torn") {
  FakeRuntime runtime(one_of_each());
  const Restless memory(runtime.memory, runtime.slot(1) + runtime.fields.greenlet.version, 1'000'000);
  runtime.target.memory_ = &memory;
  const ProviderReading reading = read(runtime);
  CHECK(reading.torn == 6);
  CHECK(reading.retried == 5);
  CHECK(reading.lost == 1);
  REQUIRE(reading.greenlets[1].error);
  CHECK(reading.greenlets[1].error->code == ErrorCode::torn);
  CHECK(reading.greenlets[1].stack.empty());
  CHECK(reading.greenlets[1].name == "partly");
}

TEST_CASE("in a core an odd version is torn at once") {
  std::vector<FakeGreenlet> greenlets = one_of_each();
  greenlets[1].version = 3;
  FakeRuntime runtime(greenlets);
  runtime.target.kind_ = Target::Kind::core;
  const ProviderReading reading = read(runtime);
  CHECK(reading.retried == 0);
  CHECK(reading.lost == 1);
  REQUIRE(reading.greenlets[1].error);
  CHECK(reading.greenlets[1].error->code == ErrorCode::torn);
  CHECK(reading.greenlets[1].error->message.find("odd") != std::string::npos);
}

TEST_CASE("a thread on a CPU that is not to be stopped leaves its greenlet unwalked") {
  FakeRuntime runtime(one_of_each());
  runtime.target.registers_.clear();
  const Greenlet main = read(runtime).greenlets[0];
  REQUIRE(main.error);
  CHECK(main.error->code == ErrorCode::not_stopped);
  CHECK(main.stack.empty());
}

TEST_CASE("impossible slices are refused before anything is allocated") {
  constexpr Address top = FakeRuntime::stack_high;
  std::vector<FakeGreenlet> greenlets = one_of_each();
  SECTION("stop below start") {
    greenlets[1].stop = greenlets[1].start - 8;
  }
  SECTION("more saved than there is") {
    greenlets[1].saved = 0x801;
  }
  SECTION("both ends wild") {
    greenlets[1].start = 0, greenlets[1].stop = UINT64_MAX - 1, greenlets[1].saved = UINT64_MAX;
  }
  const FakeRuntime runtime(greenlets);
  const ProviderReading reading = read(runtime);
  REQUIRE(reading.greenlets[1].error);
  CHECK(reading.greenlets[1].error->code == ErrorCode::corrupt);
  CHECK(reading.greenlets[1].stack.empty());
  CHECK(reading.greenlets[2].stack.size() == 0x100);
  CHECK(top > 0);
}

TEST_CASE("limits on stacks hold, and are told") {
  const FakeRuntime runtime(one_of_each());
  CoppiceLimits limits;
  limits.stack = 0x400;
  CHECK(read(runtime, {}, limits).greenlets[1].stack.size() == 0x400);
  limits.stacks = 0x450;
  const ProviderReading reading = read(runtime, {}, limits);
  std::uint64_t bytes = 0, refused = 0;
  for (const Greenlet& greenlet : reading.greenlets) {
    if (greenlet.state != State::suspended && greenlet.state != State::orphaned) continue;
    bytes += greenlet.stack.size();
    CHECK(greenlet.stack.empty() == greenlet.error.has_value());
    refused += greenlet.error && greenlet.error->code == ErrorCode::truncated ? 1 : 0;
  }
  CHECK(bytes > 0);
  CHECK(bytes <= limits.stacks);
  CHECK(refused == 1);
}

TEST_CASE("small batches read the same") {
  const FakeRuntime runtime(one_of_each());
  CoppiceLimits limits;
  limits.batch = 1;
  const ProviderReading reading = read(runtime, {}, limits), whole = read(runtime);
  REQUIRE(reading.greenlets.size() == whole.greenlets.size());
  for (std::size_t i = 0; i < whole.greenlets.size(); ++i) {
    CHECK(reading.greenlets[i].stack == whole.greenlets[i].stack);
    CHECK(reading.greenlets[i].name == whole.greenlets[i].name);
  }
}

TEST_CASE("tables that cannot be true are refused with a sentence") {
  FakeRuntime runtime(one_of_each());
  DebugTable& fields = runtime.fields;
  ErrorCode expected = ErrorCode::corrupt;
  SECTION("magic") {
    fields.magic ^= 1;
  }
  SECTION("a later ABI") {
    fields.abi_version = 2;
    expected = ErrorCode::unsupported;
  }
  SECTION("another machine") {
    fields.machine = EM_AARCH64;
    expected = ErrorCode::unsupported;
  }
  SECTION("too short") {
    fields.table_size = 100;
  }
  SECTION("huge slots") {
    fields.greenlets.slot_size = 8192;
  }
  SECTION("no slots") {
    fields.greenlets.slot_size = 0;
  }
  SECTION("no slots in a chunk") {
    fields.threads.slots_per_chunk = 0;
  }
  SECTION("a huge chunk") {
    fields.greenlets.slots_per_chunk = UINT32_MAX;
  }
  SECTION("a field beyond its slot") {
    fields.greenlet.saved = FakeRuntime::slot_size - 7;
  }
  SECTION("a register below sp") {
    fields.resume_slot[3] = -2;
  }
  runtime.put_table();
  const auto provider = find_coppice(runtime.target);
  REQUIRE_FALSE(provider.ok());
  CHECK(provider.error().code == expected);
  CHECK(provider.error().message.size() > 20);
}

TEST_CASE("pools that cannot be true are refused when they are read") {
  FakeRuntime runtime(one_of_each());
  ErrorCode expected = ErrorCode::corrupt;
  SECTION("too many chunks") {
    runtime.fields.greenlets.chunk_count = 1ULL << 60U;
  }
  SECTION("chunks that are not there") {
    runtime.fields.greenlets.chunks = 0x10;
    expected = ErrorCode::unreadable;
  }
  SECTION("chunks that overlap") {
    runtime.memory.put_value(FakeRuntime::chunk_list, runtime.slot(2) + 8);
  }
  SECTION("a chunk that wraps") {
    runtime.memory.put_value(FakeRuntime::chunk_list, UINT64_MAX - 8);
  }
  runtime.put_table();
  auto provider = find_coppice(runtime.target);
  REQUIRE(provider.ok());
  const auto reading = (*provider)->read({});
  REQUIRE_FALSE(reading.ok());
  CHECK(reading.error().code == expected);
}

TEST_CASE("a shorter table of an older runtime is read") {
  FakeRuntime runtime(one_of_each());
  runtime.fields.table_size = offsetof(DebugTable, padding);
  runtime.put_table();
  runtime.memory.remove(FakeRuntime::table + runtime.fields.table_size, 0x100);
  const ProviderReading reading = read(runtime);
  CHECK(reading.greenlets.size() == 7);
  CHECK_FALSE(reading.greenlets[0].last_switch_unix_ns);
}

TEST_CASE("a chunk that is missing from a core costs only its own greenlets") {
  FakeRuntime runtime(one_of_each());
  runtime.target.kind_ = Target::Kind::core;
  runtime.memory.remove(runtime.slot(2), FakeRuntime::slot_size * FakeRuntime::slots_per_chunk);
  const ProviderReading reading = read(runtime);
  CHECK(reading.greenlets.size() == 5);
  REQUIRE(reading.warnings.size() == 1);
  CHECK(reading.warnings[0].find(fmt::format("{:#x}", runtime.slot(2))) != std::string::npos);
}

TEST_CASE("a target without our note has no provider") {
  FakeRuntime runtime(one_of_each());
  runtime.memory.remove(FakeRuntime::module_start + 0x200, 0x40);
  const auto provider = find_coppice(runtime.target);
  REQUIRE(provider.ok());
  CHECK(*provider == nullptr);
}

TEST_CASE("whichever read fails, the rest is read and nothing is made up") {
  FakeRuntime runtime(one_of_each());
  const FailNth counting(runtime.memory);
  runtime.target.memory_ = &counting;
  const ProviderReading whole = read(runtime);
  const std::uint64_t reads = counting.reads();
  REQUIRE(reads > 10);
  for (const bool after : {false, true}) {
    for (std::uint64_t n = 0; n < reads; ++n) {
      const FailNth failing(runtime.memory, n, after);
      runtime.target.memory_ = &failing;
      const auto provider = find_coppice(runtime.target);
      if (!provider.ok() || *provider == nullptr) continue;
      const auto reading = (*provider)->read({});
      if (!reading.ok()) continue;
      bool complete = reading->greenlets.size() == whole.greenlets.size();
      for (const Greenlet& greenlet : reading->greenlets) {
        const auto same = std::ranges::find(whole.greenlets, greenlet.id, &Greenlet::id);
        REQUIRE(same != whole.greenlets.end());
        CHECK(greenlet.stack.size() <= same->stack.size());
        CHECK(std::equal(greenlet.stack.begin(), greenlet.stack.end(), same->stack.begin()));
        complete = complete && greenlet.stack == same->stack;
      }
      const bool told = !reading->warnings.empty() || reading->torn > 0 || !complete || reading->retried > 0;
      // What is missing is told, or shows as a stack shorter than its slice; else everything was there.
      CHECK((told || complete));
      if (reading->greenlets.size() < whole.greenlets.size()) CHECK_FALSE(reading->warnings.empty());
    }
  }
}
