// The files a core's process had mapped, found again on this machine and proven to be the same.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "inspect/memory/file_memory.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Opens a regular file by path. The default asks the file system; tests and fuzzing say no to everything.
using OpenFile = std::function<Result<UniqueFd>(const std::string& path)>;

/// Finds the file of a module: for the main program what --exe names; then in the search directories by
/// build-id and by base name, below the sysroot, and where the core says. A file whose build-id is not the
/// module's is never taken. Files that were found stay open as long as this object. Thread-safety: one thread
/// at a time.
class CoreFiles {
 public:
  CoreFiles(FileSearch search, OpenFile open);

  /// `wrong_executable` when the only files found have other build-ids, `no_file`. The FileMemory lives as
  /// long as this object. A module without a build-id is taken on the word of its first page, with a warning.
  Result<const FileMemory*> find(const Module& module, const Memory& core, bool main_program);

  /// Any ELF file at a path that the core names, with no proof at all. Null when there is none.
  const FileMemory* open_unproven(const std::string& path);

  /// Sentences about files that were refused or taken without proof, since the last call.
  std::vector<std::string> take_warnings();

 private:
  std::vector<std::string> candidates(const Module& module, bool main_program) const;
  const FileMemory* open(const std::string& path);

  FileSearch search_;
  OpenFile open_;
  std::map<std::string, std::unique_ptr<FileMemory>> opened_;  // by path; null: not there, or no ELF
  std::vector<std::string> warnings_;
};

}  // namespace coppice::inspect
