// The ELF files of a live process, opened as the process itself sees them.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "inspect/base/unique_fd.hpp"
#include "inspect/memory/memory.hpp"
#include "inspect/target/module_finder.hpp"

namespace coppice::inspect {

/// Opens the files behind a process's mappings. Paths are resolved inside the process's own root (a
/// container), else in ours. Which file is the mapped one is decided by device, inode and build-id together:
/// a file that was replaced by an update, or overwritten in place, is not.
class ProcessFiles {
 public:
  /// `directory` is /proc/PID, borrowed for the life of this object.
  explicit ProcessFiles(int directory);

  /// Marks the module as deleted when its path does not lead to the mapped file any more, and takes the
  /// kernel's " (deleted)" off the path. `file`: what is mapped at the module's start.
  void check(Module& module, FileId file) const;

  /// The mapped file, by its path, by /proc/PID/map_files or (the main program) by /proc/PID/exe.
  /// `range` is the mapping at the module's start. `no_file` when none of those leads there.
  Result<UniqueFd> open(const Module& module, const MappedRange& range) const;

 private:
  UniqueFd open_in_root(const std::string& path) const;
  UniqueFd open_mapped(const Module& module, FileId file) const;

  int directory_;
  UniqueFd root_;
};

}  // namespace coppice::inspect
