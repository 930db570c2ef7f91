// Which CPythons are found and which are refused, and what is said of those.
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "inspect/python/python_runtime.hpp"
#include "inspect/python/python_version.hpp"
#include "tests/support/catch.hpp"

using namespace coppice::inspect;

namespace {

/// What is found in this process while it has that library loaded.
PythonSearch search_with(const char* variant) {
  const std::string path = std::string(FAKE_LIBRARIES) + "/libpython_" + variant + ".so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const auto target = open_process(getpid());
  REQUIRE(target.ok());
  PythonSearch search = find_python(**target);
  dlclose(library);
  return search;
}

void check_refused(const char* variant, ErrorCode code, const std::string& words) {
  INFO(variant);
  const PythonSearch search = search_with(variant);
  CHECK(search.found.empty());
  REQUIRE(search.refused.size() == 1);
  INFO(search.refused[0].message);
  CHECK(search.refused[0].code == code);
  CHECK(search.refused[0].message.find(words) != std::string::npos);
  CHECK(search.refused[0].message.find(std::string("libpython_") + variant) != std::string::npos);
}

std::optional<FoundVersion> version_in(const std::string& text) {
  return find_version_text(std::as_bytes(std::span(text)));
}

}  // namespace

TEST_CASE("a CPython that cannot be read is refused in words") {
  check_refused("VERSIONLESS", ErrorCode::unsupported, "nothing in it tells its version");
  check_refused("FUTURE", ErrorCode::unsupported, "knows CPython 3.8 to 3.15, and it is 3.99.0");
  check_refused("OLD", ErrorCode::unsupported, "it is 3.7.16");
  check_refused("DISAGREES", ErrorCode::corrupt, "3.11.7 by sys.version and 3.11.2 by Py_Version");
  check_refused("FREE_THREADED", ErrorCode::unsupported, "free-threaded");
  check_refused("REARRANGED", ErrorCode::unsupported, "laid out otherwise");
  check_refused("BROKEN", ErrorCode::corrupt, "interpreters of CPython 3.11.2 are not where they should be");
}

TEST_CASE("a CPython that has not started is not there") {
  const PythonSearch search = search_with("NOT_STARTED");
  CHECK(search.found.empty());
  CHECK(search.refused.empty());
}

TEST_CASE("the newest interpreter of a CPython may have no thread") {
  const PythonSearch search = search_with("IDLE");
  CHECK(search.found.size() == 1);
  CHECK(search.refused.empty());
}

TEST_CASE("a process without CPython has none") {
  const auto target = open_process(getpid());
  REQUIRE(target.ok());
  const PythonSearch search = find_python(**target);
  CHECK(search.found.empty());
  CHECK(search.refused.empty());
}

TEST_CASE("versions out of the text of sys.version") {
  const auto hex_of = [](const std::string& text) {
    const auto found = version_in(text);
    return found ? found->version.hex : 0;
  };
  CHECK(hex_of("3.8.18 (default, May  9 2026, 07:34:03) \n[GCC 12.2.0]") == 0x030812f0);
  CHECK(hex_of("3.10.13 (main, May  9 2026, 07:35:01) [GCC 12.2.0]") == 0x030a0df0);
  CHECK(hex_of(std::string("x 3.9.1\0\0", 9) +
               "3.12.1+ (heads/3.12:abc, May  9 2026, 07:35:01) [Clang 16.0.0 ]") == 0x030c01f0);
  CHECK(hex_of("3.14.0rc2 (main, May  9 2026, 07:35:01) [GCC 15.2.0]") == 0x030e00c2);
  CHECK(hex_of("3.13.0a6 (main, May  9 2026, 07:35:01) [GCC 15.2.0]") == 0x030d00a6);
  CHECK(!version_in("3.13.0 (main, May  9 2026) [GCC 15.2.0]")->free_threaded);
  CHECK(
      version_in("3.13.0 experimental free-threading build (main, May  9 2026) [GCC 15.2.0]")->free_threaded);
  CHECK(version_in("3.14.0 free-threading build (main, May  9 2026) [GCC 15.2.0]")->free_threaded);
  for (const char* text : {"", "3.", "3.8", "3.8.18", "3.8.18 (", "3.8.18 (default) GCC", "3.1000.1 (x) [GCC",
                           "3.8.300 (x) [GCC", "13.8.18 (default, May) [GCC 12]",
                           "/python3.8.18 (default, May) [GCC 12]", "2.7.18 (default, May) [GCC 12]"}) {
    INFO(text);
    CHECK(!version_in(text));
  }
  CHECK(PythonVersion{0x030e00c2}.text() == "3.14.0rc2");
  CHECK(PythonVersion{0x030812f0}.text() == "3.8.18");
}
