// Separate debug files and alternate (dwz) files: where distributions and users put them.
#pragma once

#include <string>

#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Finds a debug file of a module. By build-id (`build_id`, lower-case hex; may be empty):
///   DIR/.build-id/xx/yyyy.debug and DIR/xx/yyyy.debug, for each search directory and /usr/lib/debug
/// and by link (`debug_link`: the name in .gnu_debuglink or .gnu_debugaltlink; may be empty), beside the
/// module:
///   its folder, .debug/ in its folder, /usr/lib/debug/FOLDER/, the search directories; absolute names as
///   they are.
/// Every path is also tried below the sysroot, and first below `root` ("" or "/proc/PID/root": the target's
/// own files). With a build-id only a file that has it is taken. `no_file`.
Result<UniqueFd> find_debug_file(const Module& module, const std::string& build_id,
                                 const std::string& debug_link, const FileSearch& search,
                                 const std::string& root);

}  // namespace coppice::inspect
