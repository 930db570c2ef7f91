// A target that is nothing but ELF files: for symbolizing without a process.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "inspect/memory/memory.hpp"
#include "inspect/target/target.hpp"

namespace coppice::inspect::test {

/// Modules put at made-up places, each with a way to open its image. Debug files: none, unless `debug_file`
/// is set.
class ImageTarget final : public Target {
 public:
  using Open = std::function<Result<UniqueFd>()>;

  /// Adds a module of 256 MB of addresses; returns its bias. `identity` must tell it from other files.
  std::uint64_t add(const std::string& identity, Open open);

  /// Adds a module as it is; in ascending order.
  void add(const Module& module, Open open);

  std::function<Result<UniqueFd>(const std::string& build_id, const std::string& debug_link)> debug_file;

  Kind kind() const override { return Kind::lent; }
  pid_t pid() const override { return 0; }
  std::string executable() const override { return {}; }
  std::string command_line() const override { return {}; }
  const Memory& memory() const override { return nothing_; }
  std::span<const Module> modules() const override { return modules_; }
  std::span<const Mapping> mappings() const override { return {}; }
  std::span<const Thread> threads() const override { return {}; }
  Result<void> refresh() override { return {}; }
  Result<ThreadRegisters> registers(pid_t tid, Stopping stopping) const override;
  Result<UniqueFd> open_image(const Module& module) const override;
  Result<UniqueFd> open_debug_file(const Module& module, const std::string& build_id,
                                   const std::string& debug_link) const override;
  std::span<const std::string> warnings() const override { return {}; }

 private:
  class Nothing final : public Memory {
   public:
    void read_batch(std::span<ReadRequest> requests) const override {
      for (auto& request : requests) request.got = 0;
    }
  };

  Nothing nothing_;
  std::vector<Module> modules_;
  std::vector<Open> open_;
};

/// A memfd with these bytes.
UniqueFd file_of(const std::string& bytes);

/// All bytes of a file; throws when it cannot be read.
std::string bytes_of(const std::string& path);

}  // namespace coppice::inspect::test
