// gldump's command line, its help, and what it says when it cannot.
#include <unistd.h>

#include <algorithm>

#include "program.hpp"
#include "tests/snapshot/json_contract.hpp"
#include "tests/support/catch.hpp"
#include "tests/target/child.hpp"

using namespace coppice::inspect::testing;
using coppice::inspect::test::Child;

namespace {

long lines(const std::string& text) {
  return std::ranges::count(text, '\n');
}

}  // namespace

TEST_CASE("help teaches, version tells") {
  for (const std::string command : {"", "list", "bt", "groups"}) {
    const Run help = gldump(command + " --help");
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    CHECK(help.out.find("Examples:") != std::string::npos);
    CHECK(help.out.find("gldump " + (command.empty() ? std::string("bt") : command) + " ") !=
          std::string::npos);
  }
  const Run version = gldump("--version");
  CHECK(version.status == 0);
  CHECK(version.out.starts_with("gldump "));
}

TEST_CASE("wrong usage is 2, with one line that tells the remedy") {
  const std::string self = std::to_string(getpid());
  const std::string arguments = GENERATE_COPY(
      values<std::string>({"", "nonsense", "list", "bt 4", "list -p", "list -p x", "list -p -4", "list -p 0",
                           "list -p " + self + " --core x", "list -p " + self + " --exe /bin/true",
                           "list --subprocesses --core x", "bt --subprocesses 17 -p " + self,
                           "list -p " + self + " --bogus", "list -p " + self + " 17", "-p " + self}));
  INFO(arguments);
  const Run run = gldump(arguments);
  CHECK(run.status == 2);
  CHECK(run.out.empty());
  CHECK(lines(run.err) == 1);
  CHECK(run.err.find("--help") != std::string::npos);
}

TEST_CASE("what cannot be looked at is 1, with one line and nothing on standard output") {
  const std::string arguments = GENERATE(as<std::string>(), "list -p 4194303", "bt --core /nonexistent",
                                         "bt --core /etc/passwd --json", "groups --core /");
  INFO(arguments);
  const Run run = gldump(arguments);
  CHECK(run.status == 1);
  CHECK(run.out.empty());
  CHECK(lines(run.err) == 1);
  CHECK(run.err.starts_with("gldump: "));
}

TEST_CASE("a process without greenlets is no failure") {
  const Child child({"/bin/sh", "-c", "echo ready; read line"});
  const std::string target = " -p " + std::to_string(child.pid());
  for (const auto& [command, json] : {std::pair{"list", JsonOf::list}, std::pair{"bt", JsonOf::backtraces},
                                      std::pair{"groups", JsonOf::groups}}) {
    const Run text = gldump(command + target);
    CHECK(text.status == 0);
    CHECK(text.out.empty());
    CHECK(text.err.find("no greenlets") != std::string::npos);
    CHECK(text.err.find("neither libcoppice nor") != std::string::npos);
    const Run document = gldump(command + target + " --json");
    CHECK(document.status == 0);
    CHECK(contract_violations(document.json(), json).empty());
    CHECK(document.json()["greenlets"].empty());
  }
  const Run unknown = gldump("bt 7" + target);
  CHECK(unknown.status == 1);
  CHECK(unknown.out.empty());
  CHECK(lines(unknown.err) == 1);
}
