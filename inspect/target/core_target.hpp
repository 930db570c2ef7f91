// An ELF core as a Target.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "inspect/memory/core_memory.hpp"
#include "inspect/target/core_files.hpp"
#include "inspect/target/core_notes.hpp"
#include "inspect/target/module_finder.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Cores of x86-64 processes, from the kernel, gcore or our own crash handler: one reader for all.
class CoreTarget final : public Target {
 public:
  /// `file` is the core, `size` bytes of it; `path` is what to call it. Errors as open_core.
  static Result<std::unique_ptr<Target>> open(std::unique_ptr<const Memory> file, std::uint64_t size,
                                              const std::string& path, FileSearch search, OpenFile open_file);

  Kind kind() const override { return Kind::core; }
  pid_t pid() const override { return notes_.pid; }
  std::string executable() const override { return executable_; }
  std::string command_line() const override { return notes_.arguments; }
  std::string core_path() const override { return path_; }
  const Memory& memory() const override { return memory_; }
  std::span<const Module> modules() const override { return modules_; }
  std::span<const Mapping> mappings() const override { return mappings_; }
  std::span<const Thread> threads() const override { return threads_; }
  Result<void> refresh() override { return {}; }
  Result<ThreadRegisters> registers(pid_t tid, Stopping stopping) const override;
  Result<UniqueFd> open_image(const Module& module) const override;
  Result<UniqueFd> open_debug_file(const Module& module, const std::string& build_id,
                                   const std::string& debug_link) const override;
  std::span<const std::string> warnings() const override { return warnings_; }

 private:
  CoreTarget(std::unique_ptr<const Memory> file, std::string path, FileSearch search, OpenFile open_file);

  void fill_missing_heads();
  void find_all_modules(bool has_written_memory);
  void name_modules_without_paths();
  bool is_main(const Module& module) const;
  void warn(const std::vector<std::string>& more);

  std::unique_ptr<const Memory> file_;
  std::string path_;
  FileSearch search_;
  CoreFiles files_;
  CoreNotes notes_;
  CoreMemory memory_;
  std::vector<MappedRange> ranges_;
  std::vector<Mapping> mappings_;
  mutable std::vector<Module> modules_;  // open_image, const for its callers, fills in identities
  std::map<Address, Result<const FileMemory*>> module_files_;  // by Module::start
  std::vector<Thread> threads_;
  std::string executable_;
  std::vector<std::string> warnings_;
};

}  // namespace coppice::inspect
