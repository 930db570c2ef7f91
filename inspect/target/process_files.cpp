#include "inspect/target/process_files.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "inspect/base/files.hpp"
#include "inspect/target/image.hpp"

namespace coppice::inspect {

namespace {

constexpr std::string_view kDeleted = " (deleted)";

/// Is this open file the one that is mapped? Device numbers alone do not tell: those of overlay and btrfs
/// files differ between stat and maps, so an equal build-id counts too; and an unequal one never does.
bool is_mapped_file(int fd, const Module& module, FileId file) {
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  const bool same_inode = status.st_dev == file.device && status.st_ino == file.inode;
  if (module.build_id.empty()) return same_inode;
  return file_build_id(fd) == module.build_id;
}

}  // namespace

ProcessFiles::ProcessFiles(int directory)
    : directory_(directory), root_(openat(directory, "root", O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

UniqueFd ProcessFiles::open_in_root(const std::string& path) const {
  // As open_regular_at: look at what it is before really opening it.
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const UniqueFd place(static_cast<int>(syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how)));
  if (!place) return {};
  auto file = open_regular_at(AT_FDCWD, fmt::format("/proc/self/fd/{}", place.get()));
  return file.ok() ? std::move(*file) : UniqueFd();
}

/// By the process's own root (a container), and by ours: for a mere chroot, maps shows paths as we see them.
UniqueFd ProcessFiles::open_mapped(const Module& module, FileId file) const {
  UniqueFd opened = open_in_root(module.path);
  if (opened && is_mapped_file(opened.get(), module, file)) return opened;
  auto ours = open_regular_at(AT_FDCWD, module.path);
  if (ours.ok() && is_mapped_file(ours->get(), module, file)) return std::move(*ours);
  return {};
}

void ProcessFiles::check(Module& module, FileId file) const {
  if (!module.path.starts_with('/')) return;
  if (open_mapped(module, file)) return;
  module.deleted = true;
  // A file may be called so itself: only when it is not there is the ending the kernel's.
  if (module.path.ends_with(kDeleted)) module.path.resize(module.path.size() - kDeleted.size());
}

Result<UniqueFd> ProcessFiles::open(const Module& module, const MappedRange& range) const {
  if (!module.deleted && module.path.starts_with('/')) {
    if (UniqueFd file = open_mapped(module, range.file)) return file;
  }
  const std::string mapped = fmt::format("map_files/{:x}-{:x}", range.mapping.start, range.mapping.end);
  for (const std::string& link : {mapped, std::string("exe")}) {
    auto file = open_regular_at(directory_, link);
    if (file.ok() && is_mapped_file(file->get(), module, range.file)) return file;
  }
  return Error{ErrorCode::no_file, 0, fmt::format("the file of {} is gone", module.path)};
}

}  // namespace coppice::inspect
