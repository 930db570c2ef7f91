#include "inspect/target/core_files.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "inspect/target/elf_reader.hpp"

namespace coppice::inspect {

namespace {

constexpr std::size_t kMostOpenFiles = 4096;

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

/// Do the first pages agree, as far as memory has the module's? The only proof for modules without build-id.
bool same_first_page(const Module& module, const Memory& core, const Memory& file) {
  std::array<std::byte, 4096> in_core;
  std::array<std::byte, 4096> in_file;
  const std::size_t got = core.read_some(module.start, in_core);
  const std::size_t have = file.read_some(0, in_file);
  return got >= sizeof(Elf64_Ehdr) && have >= sizeof(Elf64_Ehdr) &&
         std::memcmp(in_core.data(), in_file.data(), std::min(got, have)) == 0;
}

}  // namespace

CoreFiles::CoreFiles(FileSearch search, OpenFile open) : search_(std::move(search)), open_(std::move(open)) {}

std::vector<std::string> CoreFiles::candidates(const Module& module, bool main_program) const {
  std::vector<std::string> paths;
  if (main_program && !search_.executable.empty()) paths.push_back(search_.executable);
  for (const std::string& folder : search_.directories) {
    if (module.build_id.size() > 2) {
      const std::string tail = module.build_id.substr(0, 2) + "/" + module.build_id.substr(2);
      paths.push_back(fmt::format("{}/.build-id/{}", folder, tail));
      paths.push_back(fmt::format("{}/{}", folder, tail));
    }
    if (!module.path.empty()) paths.push_back(fmt::format("{}/{}", folder, base_name(module.path)));
  }
  if (module.path.starts_with('/')) {
    if (!search_.sysroot.empty()) paths.push_back(search_.sysroot + module.path);
    paths.push_back(module.path);
  }
  return paths;
}

const FileMemory* CoreFiles::open(const std::string& path) {
  const auto known = opened_.find(path);
  if (known != opened_.end()) return known->second.get();
  if (opened_.size() >= kMostOpenFiles) return nullptr;  // a hostile core may name millions
  std::unique_ptr<FileMemory>& entry = opened_[path];
  auto file = open_(path);
  if (!file.ok()) return nullptr;
  auto memory = std::make_unique<FileMemory>(std::move(*file));
  if (read_elf_headers(*memory, 0).ok()) entry = std::move(memory);
  return entry.get();
}

Result<const FileMemory*> CoreFiles::find(const Module& module, const Memory& core, bool main_program) {
  std::string refused;
  for (const std::string& path : candidates(module, main_program)) {
    const FileMemory* file = open(path);
    if (file == nullptr) continue;
    const std::string id = read_file_build_id(*file);
    if (module.build_id.empty() ? same_first_page(module, core, *file) : id == module.build_id) {
      if (module.build_id.empty()) {
        warnings_.push_back(
            fmt::format("{} has no build-id: that it is the file that ran is likely, not proven", path));
      }
      return file;
    }
    if (refused.empty()) {
      refused =
          fmt::format("{} is not the file that ran: its build-id is {}, the core's is {}", path,
                      id.empty() ? "missing" : id, module.build_id.empty() ? "missing" : module.build_id);
    }
  }
  if (!refused.empty()) {
    warnings_.push_back("wrong_executable: " + refused);
    return Error{ErrorCode::wrong_executable, module.start, refused};
  }
  const std::string name = module.path.empty() ? "the program" : module.path;
  const std::string missing = fmt::format("no file for {} (build-id {}); name it with {}", name,
                                          module.build_id.empty() ? "missing" : module.build_id,
                                          main_program ? "--exe" : "--lib-search-path");
  warnings_.push_back(missing);
  return Error{ErrorCode::no_file, module.start, missing};
}

const FileMemory* CoreFiles::open_unproven(const std::string& path) {
  for (const std::string& prefix : {search_.sysroot, std::string()}) {
    if (const FileMemory* file = open(prefix + path)) return file;
  }
  return nullptr;
}

std::vector<std::string> CoreFiles::take_warnings() {
  return std::exchange(warnings_, {});
}

}  // namespace coppice::inspect
