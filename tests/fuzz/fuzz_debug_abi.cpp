// The provider for our runtime on a runtime whose bytes were changed: none of it may crash, hang or grow, and
// what it says must be consistent. The input is a list of changes to the memory of
// tests/snapshot/fake_runtime.hpp, so that the fuzzer starts from tables that are right.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "inspect/greenlets/coppice_provider.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/snapshot/fake_runtime.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

/// Where changes are worth making, and how large each place is.
struct Place {
  Address address;
  std::uint32_t size;
};

/// One change: which place, where in it, what to do, with what.
void change(FakeRuntime& runtime, Input& input) {
  const Place places[] = {
      {FakeRuntime::table, sizeof(DebugTable)},
      {FakeRuntime::module_start, 0x400},
      {FakeRuntime::chunk_list, 64},
      {FakeRuntime::thread_slot, 96},
      {runtime.slot(0), FakeRuntime::slot_size},
      {runtime.slot(1), FakeRuntime::slot_size},
      {runtime.slot(2), FakeRuntime::slot_size},
      {runtime.slot(6), FakeRuntime::slot_size},
      {FakeRuntime::names, 0x400},
      {runtime.copy(1), 0x300},
      {FakeRuntime::thread_list, 64},
  };
  const Place& place = places[input.take<std::uint8_t>() % std::size(places)];
  const Address at = place.address + input.take<std::uint16_t>() % place.size;
  switch (input.take<std::uint8_t>() % 4) {
    case 0:
      runtime.memory.put_value(at, input.take<std::uint8_t>());
      break;
    case 1:
      runtime.memory.put_value(at & ~Address{1}, input.take<std::uint16_t>());
      break;
    case 2:
      runtime.memory.put_value(at & ~Address{7}, input.take<std::uint64_t>());
      break;
    default:
      runtime.memory.remove(at, 1U + input.take<std::uint8_t>());
      break;
  }
}

/// Limits small enough that reaching them is cheap.
CoppiceLimits limits() {
  CoppiceLimits limits;
  limits.pools = {1U << 14U, 1U << 22U};
  limits.stack = 1U << 20U;
  limits.stacks = 1U << 22U;
  limits.batch = 1U << 16U;
  return limits;
}

void check_greenlet(const Greenlet& greenlet) {
  check(!greenlet.id.empty());
  check(greenlet.stack.size() <= limits().stack);
  check(greenlet.name.size() <= limits().name);
  check(std::string_view(name(greenlet.state)) != "unknown");
  const bool asleep = greenlet.state == State::suspended || greenlet.state == State::orphaned;
  if (!asleep) return;
  check(greenlet.slice.start <= greenlet.slice.stop);
  check(greenlet.slice.saved <= greenlet.slice.size());
  check(greenlet.stack.size() <= greenlet.slice.size());
  if (!greenlet.stack.empty()) check(greenlet.registers.sp() == greenlet.slice.start);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input({data, size});
  static const FakeRuntime pristine(one_of_each());
  FakeRuntime runtime = pristine;
  runtime.target.memory_ = &runtime.memory;
  if (input.take<std::uint8_t>() % 2 != 0) runtime.target.kind_ = Target::Kind::core;
  for (int changes = 0; changes < 32 && !input.empty(); ++changes) change(runtime, input);
  auto provider = find_coppice(runtime.target, limits());
  if (!provider.ok()) {
    check(!provider.error().message.empty());
    return 0;
  }
  if (*provider == nullptr) return 0;
  const auto reading = (*provider)->read({});
  if (!reading.ok()) {
    check(!reading.error().message.empty());
    return 0;
  }
  std::uint64_t stacks = 0;
  for (const Greenlet& greenlet : reading->greenlets) {
    check_greenlet(greenlet);
    if (greenlet.state != State::running) stacks += greenlet.stack.size();
  }
  check(stacks <= limits().stacks);
  check(reading->lost <= reading->torn);
  return 0;
}
