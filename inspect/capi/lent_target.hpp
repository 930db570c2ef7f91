// A Target that a debugger lends: its memory by callback, its threads and registers as it last told them.
#pragma once

#include <string>
#include <vector>

#include "inspect/capi/coppice_inspect.h"
#include "inspect/capi/lent_memory.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect {

/// The target as of the last cpi_stopped. Modules are found in memory; their files are opened at the paths
/// that the target's dynamic linker knows, below the sysroot first, and used only when they are the mapped
/// ones; otherwise (other machine, deleted, replaced) an image is made from memory. There may be no memory
/// map: a debugger has none for every kind of target, and only CPython's greenlets need it.
class LentTarget final : public Target {
 public:
  explicit LentTarget(const cpi_lender& lender) : memory_(lender) {}

  /// Takes over what is copied from the picture; forgets memory and modules read before.
  /// `bad_argument` when the picture contradicts itself.
  Result<void> set(const cpi_picture& lent);

  Kind kind() const override { return Kind::lent; }
  pid_t pid() const override { return pid_; }
  std::string executable() const override { return executable_; }
  std::string command_line() const override { return command_line_; }
  std::string core_path() const override { return core_; }
  const Memory& memory() const override { return memory_; }
  std::span<const Module> modules() const override { return modules_; }
  std::span<const Mapping> mappings() const override { return mappings_; }
  std::span<const Thread> threads() const override { return threads_; }
  /// Does nothing: the picture changes when the lender says so.
  Result<void> refresh() override { return {}; }
  Result<ThreadRegisters> registers(pid_t tid, Stopping stopping) const override;
  Result<UniqueFd> open_image(const Module& module) const override;
  Result<UniqueFd> open_debug_file(const Module& module, const std::string& build_id,
                                   const std::string& debug_link) const override;
  std::span<const std::string> warnings() const override { return warnings_; }

 private:
  void find_modules_again(std::span<const cpi_auxv> auxv);
  Result<UniqueFd> open_file(const Module& module) const;

  LentMemory memory_;
  pid_t pid_ = 0;
  std::string executable_;
  std::string command_line_;
  std::string core_;
  FileSearch search_;
  mutable std::vector<Module> modules_;  // open_image, const for its callers, fills in identities
  std::vector<Mapping> mappings_;
  std::vector<Thread> threads_;
  std::vector<ThreadRegisters> registers_;  // beside threads_
  std::vector<std::string> warnings_;
};

}  // namespace coppice::inspect
