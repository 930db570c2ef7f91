#include "inspect/target/debug_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "inspect/base/files.hpp"
#include "inspect/target/image.hpp"

namespace coppice::inspect {

namespace {

constexpr const char* kSystemFolder = "/usr/lib/debug";

/// Only what cannot climb out of a folder or be mistaken for an option of one.
bool is_build_id(const std::string& text) {
  return text.size() > 2 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::vector<std::string> by_build_id(const std::string& id, const FileSearch& search,
                                     const std::vector<std::string>& prefixes) {
  const std::string tail = fmt::format("{}/{}.debug", id.substr(0, 2), id.substr(2));
  std::vector<std::string> paths;
  for (const std::string& folder : search.directories) {
    paths.push_back(fmt::format("{}/.build-id/{}", folder, tail));
    paths.push_back(fmt::format("{}/{}", folder, tail));
  }
  for (const std::string& prefix : prefixes) {
    paths.push_back(fmt::format("{}{}/.build-id/{}", prefix, kSystemFolder, tail));
  }
  return paths;
}

std::vector<std::string> by_link(const Module& module, const std::string& link, const FileSearch& search,
                                 const std::vector<std::string>& prefixes) {
  std::vector<std::string> paths;
  paths.reserve(search.directories.size());
  for (const std::string& folder : search.directories) {
    paths.push_back(fmt::format("{}/{}", folder, base_name(link)));
  }
  const std::string folder = folder_of(module.path);
  for (const std::string& prefix : prefixes) {
    if (link.starts_with('/')) {
      paths.push_back(prefix + link);
    } else {
      paths.push_back(fmt::format("{}{}/{}", prefix, folder, link));
      paths.push_back(fmt::format("{}{}/.debug/{}", prefix, folder, link));
      paths.push_back(fmt::format("{}{}{}/{}", prefix, kSystemFolder, folder, link));
    }
  }
  return paths;
}

/// A debug link may be no more than the module itself: that has no debug information to add.
bool same_file(int fd, const std::string& path) {
  struct stat one;
  struct stat other;
  return fstat(fd, &one) == 0 && stat(path.c_str(), &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

}  // namespace

Result<UniqueFd> find_debug_file(const Module& module, const std::string& build_id,
                                 const std::string& debug_link, const FileSearch& search,
                                 const std::string& root) {
  std::vector<std::string> prefixes;
  for (const std::string& prefix : {root, search.sysroot, std::string()}) {
    if (std::ranges::find(prefixes, prefix) == prefixes.end()) prefixes.push_back(prefix);
  }
  std::vector<std::string> paths;
  if (is_build_id(build_id)) paths = by_build_id(build_id, search, prefixes);
  if (!debug_link.empty()) {
    const auto linked = by_link(module, debug_link, search, prefixes);
    paths.insert(paths.end(), linked.begin(), linked.end());
  }
  for (const std::string& path : paths) {
    auto file = open_regular_at(AT_FDCWD, path);
    if (!file.ok()) continue;
    if (!build_id.empty() && file_build_id(file->get()) != build_id) continue;
    if (std::ranges::any_of(prefixes, [&](const auto& p) { return same_file(file->get(), p + module.path); }))
      continue;
    return file;
  }
  return Error{ErrorCode::no_file, 0, fmt::format("no debug file for {}", module.path)};
}

}  // namespace coppice::inspect
