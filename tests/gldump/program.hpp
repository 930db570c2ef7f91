// Running gldump as its users do.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace coppice::inspect::testing {

/// What a run of a program left behind.
struct Run {
  int status = -1;  ///< exit status; 128 + signal when it was killed
  std::string out, err;

  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

/// Runs `gldump ARGUMENTS` by the shell.
Run gldump(const std::string& arguments);

/// The greenlet of that name. Fails the test when there is none.
nlohmann::json named(const nlohmann::json& document, const std::string& name);

/// The main greenlet that runs. Fails the test when there is none.
nlohmann::json main_of(const nlohmann::json& document);

/// The functions of its frames, innermost first; "?" where unknown.
std::vector<std::string> functions(const nlohmann::json& greenlet);

}  // namespace coppice::inspect::testing
