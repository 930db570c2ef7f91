#include "program.hpp"

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/target/child.hpp"

namespace coppice::inspect::testing {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Run gldump(const std::string& arguments) {
  const test::ScratchFolder folder;
  const std::string out = folder.path() + "/out", err = folder.path() + "/err";
  const std::string command =
      std::string(GLDUMP) + " " + arguments + " >" + out + " 2>" + err + " </dev/null";
  const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(out), text_of(err)};
}

nlohmann::json named(const nlohmann::json& document, const std::string& name) {
  for (const nlohmann::json& greenlet : document.at("greenlets")) {
    if (greenlet.at("name") == name) return greenlet;
  }
  throw std::runtime_error("no greenlet is called " + name);
}

nlohmann::json main_of(const nlohmann::json& document) {
  for (const nlohmann::json& greenlet : document.at("greenlets")) {
    if (greenlet.at("main") == true && greenlet.at("state") == "running") return greenlet;
  }
  throw std::runtime_error("no main greenlet runs");
}

std::vector<std::string> functions(const nlohmann::json& greenlet) {
  std::vector<std::string> names;
  for (const nlohmann::json& frame : greenlet.at("frames")) {
    names.push_back(frame.at("function").is_string() ? frame.at("function").get<std::string>() : "?");
  }
  return names;
}

}  // namespace coppice::inspect::testing
