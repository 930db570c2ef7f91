// The shapes programs as the tests see them: paths and the addresses of their marks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "inspect/base/unique_fd.hpp"

namespace coppice::inspect::test {

/// Path of a shapes program, by its name in CMakeLists.txt.
std::string shapes_path(const std::string& name);

/// Opens a file for reading; throws when it is not there.
UniqueFd open_file(const std::string& path);

/// ELF virtual addresses of every MARK of a program, by id. Throws unless all ids 1 to 9 are there.
std::map<int, std::vector<std::uint64_t>> marks_of(const std::string& path);

}  // namespace coppice::inspect::test
