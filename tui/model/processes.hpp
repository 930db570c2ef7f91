// Which processes have greenlets.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "inspect/base/result.hpp"

namespace coppice::tui {

struct ProcessEntry {
  pid_t pid = 0;
  std::string user;                        ///< name of the owner, else its number
  std::string runtime;                     ///< "coppice", "cpython"; comma-separated when both
  std::optional<std::uint64_t> greenlets;  ///< unknown when they could not be read
  std::string command;
  std::string remark;  ///< why they could not be read
};

struct ProcessList {
  std::vector<ProcessEntry> entries;  ///< by pid
  std::uint64_t looked_at = 0;        ///< processes that could be looked into
  std::uint64_t not_permitted = 0;    ///< and those that could not
};

/// Looks into every process of the machine but this one. Processes that end meanwhile and those of the kernel
/// are left out. Fails when /proc cannot be read.
inspect::Result<ProcessList> scan_processes();

}  // namespace coppice::tui
