// A live process as a Target.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "inspect/memory/process_memory.hpp"
#include "inspect/target/module_finder.hpp"
#include "inspect/target/process_files.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// Everything comes from /proc/PID, opened once as a directory: what is read through it is never about a
/// later process that was given the same number.
class ProcessTarget final : public Target {
 public:
  static Result<std::unique_ptr<Target>> open(pid_t pid, FileSearch search);

  Kind kind() const override { return Kind::live; }
  pid_t pid() const override { return pid_; }
  std::string executable() const override { return executable_; }
  std::string command_line() const override { return command_line_; }
  const Memory& memory() const override { return *memory_; }
  std::span<const Module> modules() const override { return modules_; }
  std::span<const Mapping> mappings() const override { return mappings_; }
  std::span<const Thread> threads() const override { return threads_; }
  std::vector<AddressRange> populated(Address start, Address end) const override;
  Result<void> refresh() override;
  Result<ThreadRegisters> registers(pid_t tid, Stopping stopping) const override;
  Result<ThreadRegisters> hold(pid_t tid, Stopping stopping, const WhileHeld& copy) const override;
  std::optional<std::string> stillness() const override;
  std::vector<Error> while_still(const WhileStill& copy) const override;
  Result<UniqueFd> open_image(const Module& module) const override;
  Result<UniqueFd> open_debug_file(const Module& module, const std::string& build_id,
                                   const std::string& debug_link) const override;
  std::span<const std::string> warnings() const override { return warnings_; }

 private:
  ProcessTarget(pid_t pid, UniqueFd directory, UniqueFd pidfd, FileSearch search);

  Result<void> open_memory();
  Result<void> read_threads();
  Result<void> read_maps();
  void find_modules_again();
  void read_names();
  Error gone() const;
  std::string whereabouts(pid_t tid) const;
  bool stopped_by_another(pid_t tid) const;
  Result<ThreadRegisters> hold_stopped(pid_t tid, const WhileHeld& copy) const;
  std::vector<pid_t> thread_ids() const;
  std::optional<std::vector<Error>> try_while_still(bool stop_sleepers, const WhileStill& copy) const;

  pid_t pid_;
  UniqueFd directory_;  // /proc/PID
  UniqueFd pidfd_;
  FileSearch search_;
  ProcessFiles files_;
  std::unique_ptr<ProcessMemory> memory_;
  pid_t living_thread_ = 0;  // of which memory and maps are read: the first thread may have exited

  std::string executable_;
  std::string command_line_;
  std::string maps_text_;
  std::vector<MappedRange> ranges_;
  std::vector<Mapping> mappings_;
  mutable std::vector<Module> modules_;  // open_image, const for its callers, fills in identities
  std::vector<Thread> threads_;
  std::vector<std::string> warnings_;
};

}  // namespace coppice::inspect
