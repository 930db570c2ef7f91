// Lent memory, the modules found in it, and the C ABI, with this very process as the target.
#include <link.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "coppice/greenlet.hpp"
#include "inspect/capi/coppice_inspect.h"
#include "inspect/capi/lent_memory.hpp"
#include "inspect/capi/lent_modules.hpp"
#include "inspect/capi/lent_target.hpp"
#include "inspect/memory/fakes.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;

namespace {

/// Lends this process's memory, and counts.
struct Lender {
  int calls = 0;
  int pieces = 0;
  bool fails = false;
  bool lies = false;

  static std::int32_t read(void* user, cpi_read* reads, std::uint64_t count) {
    auto& self = *static_cast<Lender*>(user);
    ++self.calls;
    self.pieces += static_cast<int>(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      iovec here{reads[i].into, reads[i].size};
      iovec there{reinterpret_cast<void*>(reads[i].address), reads[i].size};
      const ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
      reads[i].got = self.lies ? UINT64_MAX : got < 0 ? 0 : static_cast<std::uint64_t>(got);
    }
    return self.fails ? -1 : 0;
  }

  cpi_lender lent() { return {sizeof(cpi_lender), this, &Lender::read}; }
};

Address address_of(const void* pointer) {
  return reinterpret_cast<Address>(pointer);
}

std::vector<cpi_auxv> own_auxv() {
  std::vector<cpi_auxv> auxv;
  for (const unsigned long type : {AT_PHDR, AT_PHENT, AT_PHNUM, AT_ENTRY, AT_SYSINFO_EHDR}) {
    auxv.push_back({type, getauxval(type)});
  }
  return auxv;
}

cpi_picture own_picture(const std::vector<cpi_auxv>& auxv) {
  cpi_picture picture{};
  picture.size = sizeof picture;
  picture.pid = getpid();
  picture.executable = "/proc/self/exe";
  picture.auxv = auxv.data();
  picture.auxv_count = auxv.size();
  return picture;
}

}  // namespace

TEST_CASE("small reads come from pages that were fetched once, in one callback a batch") {
  Lender lender;
  LentMemory memory(lender.lent());
  std::vector<unsigned char> data(64 * 1024);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * 7);

  std::vector<std::byte> a(100), b(100), large(20'000);
  std::vector<ReadRequest> batch{
      {address_of(&data[10]), a}, {address_of(&data[4'090]), b}, {address_of(&data[5'000]), large}};
  memory.read_batch(batch);
  CHECK(lender.calls == 1);
  CHECK(std::memcmp(a.data(), &data[10], a.size()) == 0);
  CHECK(std::memcmp(b.data(), &data[4'090], b.size()) == 0);
  CHECK(batch[2].got == large.size());
  CHECK(std::memcmp(large.data(), &data[5'000], large.size()) == 0);

  CHECK(memory.read_some(address_of(&data[50]), a) == a.size());
  CHECK(lender.calls == 1);
  data[50] = 99;
  memory.forget();
  CHECK(memory.read_some(address_of(&data[50]), a) == a.size());
  CHECK(lender.calls == 2);
  CHECK(a[0] == std::byte{99});
}

TEST_CASE("a batch that finds the cache full starts anew and is still whole") {
  Lender lender;
  LentMemory memory(lender.lent());
  std::vector<unsigned char> data((LentMemory::page_limit + 100) * LentMemory::page_size);
  for (std::size_t i = 0; i < data.size(); i += LentMemory::page_size)
    data[i] = static_cast<unsigned char>(i >> 12);
  std::byte first{}, last{};
  for (std::size_t i = 0; i + 1 < data.size() / LentMemory::page_size; ++i) {
    const std::size_t at = i * LentMemory::page_size;
    std::vector<ReadRequest> batch{{address_of(data.data()), {&first, 1}},
                                   {address_of(&data[at]), {&last, 1}}};
    memory.read_batch(batch);
    REQUIRE((batch[0].got == 1 && batch[1].got == 1 && last == static_cast<std::byte>(data[at])));
  }
}

TEST_CASE("a lender that fails or lies does no harm") {
  Lender lender;
  LentMemory memory(lender.lent());
  std::vector<std::byte> into(16), large(10'000);
  CHECK(memory.read_some(8, into) == 0);
  CHECK(memory.read_some(UINT64_MAX - 7, into) == 0);
  CHECK(memory.read_some(UINT64_MAX - 7, large) == 0);
  CHECK(memory.read_some(5, {}) == 0);
  memory.forget();
  lender.fails = true;
  CHECK(memory.read_some(address_of(&lender), into) == 0);
  memory.forget();
  lender.fails = false;
  lender.lies = true;
  CHECK(memory.read_some(address_of(&lender), into) == into.size());
  CHECK(memory.read_some(8, large) == large.size());
}

TEST_CASE("the modules in memory are those that the dynamic linker tells of") {
  Lender lender;
  const LentMemory memory(lender.lent());
  const LentModules found = find_lent_modules(memory, own_auxv(), "/the/program");
  std::map<Address, std::string> expected;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* into) {
        Address low = UINT64_MAX;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type == PT_LOAD) low = std::min<Address>(low, segment.p_vaddr & ~Address{4095});
        }
        (*static_cast<std::map<Address, std::string>*>(into))[info->dlpi_addr + low] = info->dlpi_name;
        return 0;
      },
      &expected);
  std::size_t named = 0;
  REQUIRE(found.modules.size() == expected.size());
  REQUIRE(found.modules.size() >= 4);
  for (const Module& module : found.modules) {
    REQUIRE(expected.contains(module.start));
    CHECK_FALSE(module.build_id.empty());
    CHECK(module.end > module.start);
    const std::string& name = expected[module.start];
    if (name.starts_with('/')) {
      CHECK(module.path == name);
      ++named;
    }
  }
  CHECK(named >= 2);
  CHECK(found.warnings.empty());
}

TEST_CASE("nothing to go by, or a list that bites its tail, ends with a warning") {
  const FakeMemory nothing;
  CHECK(find_lent_modules(nothing, {}, "").warnings.size() == 1);
  const std::vector<cpi_auxv> nowhere{{AT_PHDR, 0x400040}, {AT_SYSINFO_EHDR, 0x7000}};
  const LentModules none = find_lent_modules(nothing, nowhere, "");
  CHECK(none.modules.empty());
  CHECK(none.warnings.size() == 1);

  // An executable of one page: header, PT_LOAD, PT_DYNAMIC, and a link map whose next is itself.
  struct Image {
    Elf64_Ehdr header{};
    Elf64_Phdr segments[2]{};
    Elf64_Dyn dynamic[2]{};
    std::uint64_t debug[6]{};
    std::uint64_t link[5]{};
  } image;
  constexpr Address base = 0x400000;
  std::memcpy(image.header.e_ident, ELFMAG, SELFMAG);
  image.header.e_ident[EI_CLASS] = ELFCLASS64;
  image.header.e_ident[EI_DATA] = ELFDATA2LSB;
  image.header.e_phoff = offsetof(Image, segments);
  image.header.e_phentsize = sizeof(Elf64_Phdr);
  image.header.e_phnum = 2;
  image.segments[0] = {PT_LOAD, PF_R | PF_X, 0, base, base, sizeof image, sizeof image, 4096};
  image.segments[1] = {PT_DYNAMIC, PF_R, 0, base + offsetof(Image, dynamic), 0, 0, 0, 8};
  image.dynamic[0].d_tag = DT_DEBUG;
  image.dynamic[0].d_un.d_ptr = base + offsetof(Image, debug);
  image.debug[0] = 2;  // version
  image.debug[1] = base + offsetof(Image, link);
  image.debug[5] = base + offsetof(Image, debug);  // the next namespace is this one
  image.link[3] = base + offsetof(Image, link);
  FakeMemory memory;
  const auto bytes = std::as_bytes(std::span(&image, 1));
  memory.put(base, bytes);
  const std::vector<cpi_auxv> auxv{{AT_PHDR, base + offsetof(Image, segments)}};
  const LentModules found = find_lent_modules(memory, auxv, "/the/program");
  REQUIRE(found.modules.size() == 1);
  CHECK(found.modules[0].path == "/the/program");
  CHECK(found.modules[0].start == base);
  REQUIRE(found.warnings.size() == 1);
  CHECK(found.warnings[0].find("too many") != std::string::npos);
}

TEST_CASE("the C ABI shows this process's greenlets and hands out their saved bytes") {
  auto sleeper = coppice::spawn(
      [] {
        volatile int local = 4711;
        coppice::current().parent().switch_to();
        return static_cast<int>(local);
      },
      "sleeper");
  sleeper.switch_to();

  Lender lender;
  const cpi_lender lent = lender.lent();
  REQUIRE(cpi_abi_version() == CPI_ABI_VERSION);
  cpi_session* session = cpi_open(&lent);
  REQUIRE(session != nullptr);
  const auto auxv = own_auxv();
  const cpi_picture picture = own_picture(auxv);
  REQUIRE(cpi_stopped(session, &picture) == 0);

  const char* text = cpi_snapshot(session, 0, nullptr, 0, 0);
  INFO(cpi_last_error());
  REQUIRE(text != nullptr);
  const auto snapshot = nlohmann::json::parse(text);
  CHECK(snapshot["target"]["kind"] == "lent");
  const std::string id = std::to_string(sleeper.id());
  bool seen = false;
  for (const auto& greenlet : snapshot["greenlets"]) {
    if (greenlet["id"] != id) continue;
    seen = true;
    CHECK(greenlet["name"] == "sleeper");
    CHECK(greenlet["state"] == "suspended");
  }
  CHECK(seen);

  cpi_stack stack{};
  stack.size = sizeof stack;
  REQUIRE(cpi_stack_of(session, id.c_str(), &stack) == 0);
  CHECK(stack.saved > 100);
  CHECK(stack.byte_count == stack.saved);
  CHECK(stack.saved <= stack.stop - stack.start);
  CHECK(std::memcmp(stack.bytes, reinterpret_cast<const void*>(stack.copy), stack.saved) == 0);
  CHECK(stack.registers[7] == stack.start);
  CHECK((stack.known >> 16 & 1) == 1);

  CHECK(cpi_stack_of(session, "999999", &stack) == -1);
  CHECK(std::string(cpi_last_error()) == "no greenlet 999999");
  const std::string current = std::to_string(coppice::current().id());
  CHECK(cpi_stack_of(session, current.c_str(), &stack) == -1);
  const char* unknown = "999999";
  CHECK(cpi_snapshot(session, CPI_FRAMES, &unknown, 1, 0) == nullptr);
  CHECK(std::string(cpi_last_error()).find("999999") != std::string::npos);

  // The lender gives up midway: nothing is shown rather than something wrong.
  lender.fails = true;
  REQUIRE(cpi_stopped(session, &picture) == 0);
  CHECK(cpi_stack_of(session, id.c_str(), &stack) == -1);
  cpi_close(session);
  sleeper.switch_to();
  CHECK(sleeper.finished());
}

TEST_CASE("structs of a lender who knows fewer fields are taken as they are") {
  Lender lender;
  const cpi_lender lent = lender.lent();
  cpi_session* session = cpi_open(&lent);
  const auto auxv = own_auxv();
  cpi_picture picture = own_picture(auxv);
  picture.mapping_count = 1;  // beyond the size it names: not looked at
  picture.size = offsetof(cpi_picture, mappings);
  CHECK(cpi_stopped(session, &picture) == 0);
  picture.size = offsetof(cpi_picture, mappings) - 1;
  CHECK(cpi_stopped(session, &picture) == -1);

  auto sleeper = coppice::spawn([] { coppice::current().parent().switch_to(); });
  sleeper.switch_to();
  picture = own_picture(auxv);
  REQUIRE(cpi_stopped(session, &picture) == 0);
  cpi_stack stack{};
  stack.size = offsetof(cpi_stack, outermost_sp);
  stack.outermost_sp = 4711;
  const std::string id = std::to_string(sleeper.id());
  REQUIRE(cpi_stack_of(session, id.c_str(), &stack) == 0);
  CHECK(stack.saved > 0);
  CHECK(stack.outermost_sp == 4711);
  stack.size = sizeof stack;
  REQUIRE(cpi_stack_of(session, id.c_str(), &stack) == 0);
  CHECK(stack.outermost_sp > stack.start);
  CHECK(stack.outermost_sp < stack.stop);
  cpi_close(session);
  sleeper.switch_to();
}

TEST_CASE("a memory map is put in order, and what overlaps or is empty left out") {
  Lender lender;
  LentTarget target(lender.lent());
  const cpi_mapping map[] = {{0x5000, 0x6000, 0, CPI_READABLE | CPI_WRITABLE, nullptr},
                             {0x1000, 0x3000, 0x200, CPI_READABLE | CPI_EXECUTABLE, "/bin/true"},
                             {0x2000, 0x4000, 0, CPI_READABLE, nullptr},
                             {0x7000, 0x7000, 0, CPI_READABLE, nullptr},
                             {0x9000, 0x8000, 0, CPI_READABLE, nullptr}};
  const auto auxv = own_auxv();
  cpi_picture picture = own_picture(auxv);
  picture.mappings = map;
  picture.mapping_count = std::size(map);
  REQUIRE(target.set(picture).ok());
  REQUIRE(target.mappings().size() == 2);
  CHECK(target.mappings()[0].path == "/bin/true");
  CHECK(target.mappings()[0].file_offset == 0x200);
  CHECK(target.mappings()[0].executable);
  CHECK_FALSE(target.mappings()[0].writable);
  CHECK(target.mappings()[1].start == 0x5000);
  CHECK(target.mappings()[1].writable);
  picture.mappings = nullptr;
  CHECK_FALSE(target.set(picture).ok());
}

TEST_CASE("misuse of the C ABI is an error, not a crash") {
  CHECK(cpi_open(nullptr) == nullptr);
  cpi_lender lent{};
  CHECK(cpi_open(&lent) == nullptr);
  CHECK(cpi_stopped(nullptr, nullptr) == -1);
  CHECK(cpi_snapshot(nullptr, 0, nullptr, 0, 0) == nullptr);
  CHECK(cpi_stack_of(nullptr, "1", nullptr) == -1);
  CHECK(std::strlen(cpi_last_error()) > 0);
  cpi_close(nullptr);
  Lender lender;
  const cpi_lender good = lender.lent();
  cpi_session* session = cpi_open(&good);
  REQUIRE(session != nullptr);
  cpi_picture wild{};
  wild.size = sizeof wild;
  wild.thread_count = UINT64_MAX;
  CHECK(cpi_stopped(session, &wild) == -1);
  wild.thread_count = 5;
  CHECK(cpi_stopped(session, &wild) == -1);
  cpi_close(session);
}
