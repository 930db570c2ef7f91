// gldump on cores of both makers: the same greenlets and frames as when the process lived.
#include "program.hpp"
#include "tests/snapshot/json_contract.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/core_maker.hpp"

using namespace coppice::inspect::test;
using namespace coppice::inspect::testing;
using nlohmann::json;

namespace {

/// What must be the same wherever it is read: by name, the pcs as offsets in their modules.
json essence(const json& document) {
  json all;
  for (const json& greenlet : document["greenlets"]) {
    json frames = json::array();
    for (const json& frame : greenlet["frames"]) {
      frames.push_back({frame["offset"], frame["function"], frame["line"], frame["inlined"]});
    }
    const json& name = greenlet["name"];
    if (!name.is_string() || name == "worker") continue;  // main: running; and names that are not unique
    all[name.get<std::string>()] = {greenlet["state"], greenlet["end"], greenlet["waiting"], frames};
  }
  return all;
}

void check_core(const CoreFile& core) {
  if (!core.exists()) {
    WARN("no core is written here");
    return;
  }
  const Run run = gldump("bt --json --core " + core.path());
  INFO(run.err);
  REQUIRE(run.status == 0);
  const json document = run.json();
  CHECK(contract_violations(document, JsonOf::backtraces) == std::vector<std::string>{});
  CHECK(document["target"]["kind"] == "core");
  CHECK(document["target"]["core"] == core.path());
  CHECK(document["greenlets"].size() == core.report().at("greenlets"));

  const Child child({GLDUMP_SUBJECT, "8"});
  const json live = gldump("bt --json -p " + std::to_string(child.pid())).json();
  CHECK(essence(document) == essence(live));
  CHECK(essence(live).size() >= 7);

  const json main = main_of(document);
  CHECK(main["state"] == "running");
  CHECK(main["end"] == "base");
  CHECK(functions(main).back() == functions(main_of(live)).back());
}

}  // namespace

TEST_CASE("a core of the kernel's") {
  if (!kernel_writes_cores()) {
    WARN("this machine's core_pattern keeps cores from us");
    return;
  }
  check_core(kernel_core({GLDUMP_SUBJECT, "8"}));
}

TEST_CASE("a core of gcore's") {
  check_core(gcore_core({GLDUMP_SUBJECT, "8"}));
}

TEST_CASE("a core cut short shows what is there") {
  const bool by_kernel = kernel_writes_cores();
  const CoreFile core = by_kernel ? kernel_core({GLDUMP_SUBJECT, "8"}) : gcore_core({GLDUMP_SUBJECT, "8"});
  if (!core.exists()) {
    WARN("no core is written here");
    return;
  }
  const std::vector<std::byte> whole = bytes_of(core.path());
  std::size_t shown = 0, refused = 0;
  for (const std::size_t percent : {1U, 10U, 30U, 50U, 70U, 90U, 99U}) {
    const std::string path = core.folder() + "/cut";
    write_bytes(path,
                {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() * percent / 100)});
    const Run run = gldump("bt --json --core " + path);
    INFO(percent << " %: " << run.err);
    CHECK((run.status == 0 || run.status == 1 || run.status == 3));
    CHECK((run.status == 1) == run.out.empty());
    CHECK_FALSE(run.err.empty());
    refused += run.status == 1 ? 1 : 0;
    if (run.status == 1) continue;
    CHECK(contract_violations(run.json(), JsonOf::backtraces) == std::vector<std::string>{});
    shown += run.json()["greenlets"].size();
  }
  // gcore writes the notes, and with them the modules, at the end.
  CHECK((by_kernel ? shown : refused) > 0);
}
