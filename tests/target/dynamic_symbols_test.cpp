// Exported symbols, found as the dynamic linker finds them: dlsym is the oracle.
#include "tests/support/catch.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "inspect/memory/fakes.hpp"
#include "inspect/target/dynamic_symbols.hpp"
#include "inspect/target/target.hpp"

using namespace coppice::inspect;

namespace {

std::vector<std::string> exported_names() {
  std::vector<std::string> names{"exported_function", "exported_reference"};
  for (const char letter : {'a', 'b', 'c'}) {
    for (int i = 0; i < 10; ++i) names.push_back(std::string("exported_") + letter + std::to_string(i));
  }
  return names;
}

/// This process, with both libraries loaded.
struct Loaded {
  std::unique_ptr<Target> target;
  void* library = nullptr;
  const Module* module = nullptr;

  explicit Loaded(const char* path) : library(dlopen(path, RTLD_LAZY | RTLD_LOCAL)) {
    REQUIRE(library != nullptr);
    auto opened = open_process(getpid());
    REQUIRE(opened.ok());
    target = std::move(*opened);
    module = target->module_at(reinterpret_cast<Address>(dlsym(library, "exported_function")));
    REQUIRE(module != nullptr);
  }
};

std::vector<std::byte> bytes_of(const Target& target, const Module& module) {
  std::vector<std::byte> bytes(module.end - module.start);
  REQUIRE(target.memory().read(module.start, bytes).ok());
  return bytes;
}

}  // namespace

TEST_CASE("every exported symbol is where dlsym finds it, by either hash table") {
  for (const char* path : {EXPORTS_GNU, EXPORTS_SYSV}) {
    INFO(path);
    const Loaded loaded(path);
    const auto symbols = DynamicSymbols::find_tables(loaded.target->memory(), *loaded.module);
    REQUIRE(symbols.ok());
    for (const std::string& name : exported_names()) {
      INFO(name);
      const auto found = symbols->find(name);
      REQUIRE(found);
      CHECK(found->address == reinterpret_cast<Address>(dlsym(loaded.library, name.c_str())));
      if (name.size() == 11) CHECK(found->size == (static_cast<unsigned>(name.back() - '0') + 1) * 4);
    }
    CHECK(symbols->find("exported_function")->type == STT_FUNC);
    CHECK(symbols->find("exported_a3")->type == STT_OBJECT);
    for (const char* absent : {"", "exported_", "exported_a", "exported_a33", "environ", "exported_tls"}) {
      INFO(absent);
      CHECK_FALSE(symbols->find(absent));
    }
    CHECK_FALSE(symbols->find(std::string(100'000, 'x')));
  }
}

TEST_CASE("the vdso's tables, which nobody relocates, are read too") {
  const Loaded loaded(EXPORTS_GNU);
  for (const Module& module : loaded.target->modules()) {
    if (module.path != "[vdso]") continue;
    const auto symbols = DynamicSymbols::find_tables(loaded.target->memory(), module);
    REQUIRE(symbols.ok());
    const auto found = symbols->find("__vdso_clock_gettime");
    REQUIRE(found);
    CHECK(module.contains(found->address));
    return;
  }
  WARN("this kernel maps no vdso");
}

TEST_CASE("a lookup survives every read that fails") {
  for (const char* path : {EXPORTS_GNU, EXPORTS_SYSV}) {
    const Loaded loaded(path);
    std::uint64_t reads = 1;
    for (std::uint64_t nth = 0; nth < reads; ++nth) {
      const FailNth counting(loaded.target->memory());
      const FailNth failing(loaded.target->memory(), nth);
      for (const FailNth* memory : {&counting, &failing}) {
        const auto symbols = DynamicSymbols::find_tables(*memory, *loaded.module);
        if (!symbols.ok()) {
          CHECK_FALSE(symbols.error().message.empty());
          continue;
        }
        const auto found = symbols->find("exported_b5");
        if (found) CHECK(found->address == reinterpret_cast<Address>(dlsym(loaded.library, "exported_b5")));
        if (memory == &counting) CHECK(found);
      }
      reads = counting.reads();
    }
    CHECK(reads > 5);
  }
}

TEST_CASE("damaged tables find nothing outside the module, and end") {
  for (const char* path : {EXPORTS_GNU, EXPORTS_SYSV}) {
    const Loaded loaded(path);
    const std::vector<std::byte> image = bytes_of(*loaded.target, *loaded.module);
    std::uint64_t random = 12345;
    std::size_t found_any = 0;
    for (int round = 0; round < 3000; ++round) {
      FakeMemory memory;
      memory.put(loaded.module->start, image);
      for (int change = 0; change < 8; ++change) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        // The hash table and the symbols come first in the file, .dynamic later.
        const std::uint64_t at = (random >> 33U) % (change % 2 == 0 ? 0x800 : image.size());
        memory.put_value(loaded.module->start + (at & ~std::uint64_t{3}),
                         static_cast<std::uint32_t>(round % 3 == 0 ? random >> 20U : UINT32_MAX));
      }
      const auto symbols = DynamicSymbols::find_tables(memory, *loaded.module);
      if (!symbols.ok()) continue;
      for (const char* name : {"exported_a0", "exported_b5", "exported_function", "none"}) {
        const auto found = symbols->find(name);
        if (!found) continue;
        ++found_any;
        CHECK(loaded.module->contains(found->address));
      }
    }
    CHECK(found_any > 100);
  }
}
