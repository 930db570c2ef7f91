// Real cores for tests: from the kernel (a child that aborts) and from gcore.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/target/child.hpp"

namespace coppice::inspect::test {

/// A core in a folder of its own, with what the process had reported before.
class CoreFile {
 public:
  bool exists() const;
  const std::string& path() const noexcept { return path_; }
  const std::string& folder() const noexcept { return folder_->path(); }
  const std::map<std::string, std::uint64_t>& report() const noexcept { return report_; }

 private:
  friend CoreFile kernel_core(const std::vector<std::string>& arguments);
  friend CoreFile gcore_core(const std::vector<std::string>& arguments);
  std::unique_ptr<ScratchFolder> folder_ = std::make_unique<ScratchFolder>();
  std::string path_;
  std::map<std::string, std::uint64_t> report_;
};

/// Does core_pattern put cores into the working directory of the process?
bool kernel_writes_cores();

CoreFile kernel_core(const std::vector<std::string>& arguments);
CoreFile gcore_core(const std::vector<std::string>& arguments);

/// All bytes of a file.
std::vector<std::byte> bytes_of(const std::string& path);
void write_bytes(const std::string& path, const std::vector<std::byte>& bytes);

}  // namespace coppice::inspect::test
