// The core reader on bytes from nowhere: everything a view would ask of a core, none of it may crash, hang or
// grow.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "inspect/target/core_target.hpp"
#include "tests/fuzz/input.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::testing;

namespace {

/// The fuzzer's input as a file.
class InputMemory final : public Memory {
 public:
  explicit InputMemory(std::span<const std::byte> bytes) : bytes_(bytes) {}

  void read_batch(std::span<ReadRequest> requests) const override {
    for (ReadRequest& request : requests) {
      const std::size_t start =
          static_cast<std::size_t>(std::min<std::uint64_t>(request.address, bytes_.size()));
      request.got = std::min(request.into.size(), bytes_.size() - start);
      if (request.got > 0) std::memcpy(request.into.data(), bytes_.data() + start, request.got);
    }
  }

 private:
  std::span<const std::byte> bytes_;
};

/// What the interfaces promise of any target.
void check_promises(const Target& target) {
  Address last = 0;
  for (const Mapping& mapping : target.mappings()) {
    check(mapping.start < mapping.end && mapping.start >= last);
    last = mapping.end;
  }
  last = 0;
  for (const Module& module : target.modules()) {
    check(module.start < module.end && module.start >= last);
    last = module.end;
    check(target.module_at(module.start) == &module);
    check(target.module_at(module.end - 1) == &module);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  auto opened = CoreTarget::open(
      std::make_unique<InputMemory>(bytes), size, "input", {},
      [](const std::string&) { return Result<UniqueFd>(Error{ErrorCode::no_file, 0, "no files here"}); });
  if (!opened.ok()) {
    check(!opened.error().message.empty());
    return 0;
  }
  const Target& target = **opened;
  check_promises(target);
  std::array<std::byte, 4096> page;
  for (const Thread& thread : target.threads()) {
    auto registers = target.registers(thread.tid, Stopping::never);
    check(registers.ok() && registers->complete);
    check(target.memory().read_some(registers->registers.sp(), page) <= page.size());
  }
  for (const Mapping& mapping : target.mappings()) {
    (void)target.memory().read_some(mapping.end - 1, page);
  }
  // Images are made from memory, by way of memfds: a few are as good as all of them.
  std::size_t images = 0;
  for (const Module& module : target.modules()) {
    if (++images > 2) break;
    (void)target.open_image(module);
  }
  return 0;
}
