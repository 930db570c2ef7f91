// DESIGN.md's JSON contract as a check, independent of the exporter.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace coppice::inspect::testing {

/// Which command produced the document.
enum class JsonOf { list, backtraces, groups };

/// Everything in which the document breaks the contract, one sentence each; empty when it keeps it.
std::vector<std::string> contract_violations(const nlohmann::json& document, JsonOf command);

}  // namespace coppice::inspect::testing
