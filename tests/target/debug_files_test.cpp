// Separate debug files: found by build-id and by link, and only the right ones.
#include "tests/support/catch.hpp"

#include <filesystem>

#include "inspect/target/image.hpp"
#include "inspect/target/target.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect;
using namespace coppice::inspect::test;

namespace fs = std::filesystem;

TEST_CASE(
    "a separate debug file is found by build-id in a search folder, and by its link beside the program") {
  const ScratchFolder folder;
  const std::string program = folder.path() + "/program";
  const std::string debug = folder.path() + "/kept.debug";
  REQUIRE(run(std::string("objcopy --only-keep-debug ") + SUBJECT + " " + debug).status == 0);
  REQUIRE(run(std::string("objcopy --strip-all ") + SUBJECT + " " + program).status == 0);
  const Child child({program});
  REQUIRE(child.has("main"));

  const ScratchFolder search;
  auto target = open_process(child.pid(), {{}, {search.path()}, {}});
  REQUIRE(target.ok());
  const Module& main = *(*target)->module_at(child.at("main"));
  const std::string& id = main.build_id;
  REQUIRE(id.size() > 4);
  const auto finds = [&](const std::string& build_id, const std::string& link) {
    auto file = (*target)->open_debug_file(main, build_id, link);
    if (!file.ok()) {
      CHECK(file.error().code == ErrorCode::no_file);
      return false;
    }
    CHECK(file_build_id(file->get()) == id);
    return true;
  };
  CHECK_FALSE(finds(id, ""));
  CHECK_FALSE(finds(id, "missing.debug"));
  CHECK(finds(id, "kept.debug"));
  CHECK(finds("", "kept.debug"));
  CHECK(finds(id, debug));  // an absolute name, as dwz writes it
  // A file of that name with another build-id is not taken.
  CHECK_FALSE(finds("0123456789", "kept.debug"));
  // Hostile names: nothing, and above all no crash.
  CHECK_FALSE(finds("../../etc", ""));
  CHECK_FALSE(finds(id, "program"));  // the program itself is no debug file of its own

  fs::create_directory(folder.path() + "/.debug");
  fs::rename(debug, folder.path() + "/.debug/kept.debug");
  CHECK(finds(id, "kept.debug"));
  for (const std::string& place : {std::string("/.build-id/"), std::string("/")}) {
    const std::string where = search.path() + place + id.substr(0, 2);
    fs::create_directories(where);
    fs::copy_file(folder.path() + "/.debug/kept.debug", where + "/" + id.substr(2) + ".debug");
    CHECK(finds(id, ""));
    fs::remove_all(where);
    CHECK_FALSE(finds(id, ""));
  }
}
