#include "inspect/base/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include <fmt/format.h>

namespace coppice::inspect {

namespace {

Error file_error(const std::string& name, int error) {
  const auto code = error == ENOENT || error == ENOTDIR ? ErrorCode::no_file
                    : error == EACCES || error == EPERM ? ErrorCode::not_permitted
                    : error == ESRCH                    ? ErrorCode::gone
                                                        : ErrorCode::io;
  return {code, 0, fmt::format("cannot read {}: {}", name, errno_text(error))};
}

}  // namespace

std::string errno_text(int error) {
  const char* text = strerrordesc_np(error);
  return text != nullptr ? text : fmt::format("error {}", error);
}

Result<std::string> read_text_at(int directory, const std::string& name, std::size_t limit) {
  const UniqueFd file(openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return file_error(name, errno);
  std::string text;
  std::size_t got = 0;
  while (got < limit) {
    // /proc makes each answer anew for every read: big reads are both faster and less torn.
    text.resize(std::min(limit, std::max<std::size_t>(2 * got, 64 * 1024)));
    const ssize_t piece = read(file.get(), text.data() + got, text.size() - got);
    if (piece < 0 && errno == EINTR) continue;
    if (piece < 0) return file_error(name, errno);
    if (piece == 0) break;
    got += static_cast<std::size_t>(piece);
  }
  text.resize(got);
  return text;
}

Result<UniqueFd> open_regular_at(int directory, const std::string& name) {
  // A name out of a hostile core may lead to a device whose mere opening does something: look first.
  const UniqueFd place(openat(directory, name.c_str(), O_PATH | O_CLOEXEC));
  struct stat status;
  if (!place || fstat(place.get(), &status) != 0) return file_error(name, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::no_file, 0, fmt::format("{} is not a regular file", name)};
  }
  UniqueFd file(
      open(fmt::format("/proc/self/fd/{}", place.get()).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return file_error(name, errno);
  return file;
}

std::string read_link_at(int directory, const std::string& name) {
  std::string target(PATH_MAX, '\0');
  const ssize_t length = readlinkat(directory, name.c_str(), target.data(), target.size());
  target.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  return target;
}

}  // namespace coppice::inspect
