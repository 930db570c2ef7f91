#include "tests/symbols/image_target.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace coppice::inspect::test {

std::uint64_t ImageTarget::add(const std::string& identity, Open open) {
  constexpr std::uint64_t size = 0x1000'0000;
  Module module;
  module.bias = module.start = size * (modules_.size() + 1);
  module.end = module.start + size;
  module.path = "/made-up/" + identity;
  module.identity = identity;
  add(module, std::move(open));
  return module.bias;
}

void ImageTarget::add(const Module& module, Open open) {
  modules_.push_back(module);
  open_.push_back(std::move(open));
}

Result<ThreadRegisters> ImageTarget::registers(pid_t, Stopping) const {
  return Error{ErrorCode::unsupported, 0, "there are no threads"};
}

Result<UniqueFd> ImageTarget::open_image(const Module& module) const {
  return open_.at(static_cast<std::size_t>(&module - modules_.data()))();
}

Result<UniqueFd> ImageTarget::open_debug_file(const Module&, const std::string& build_id,
                                              const std::string& debug_link) const {
  if (debug_file) return debug_file(build_id, debug_link);
  return Error{ErrorCode::no_file, 0, "there are no debug files"};
}

UniqueFd file_of(const std::string& bytes) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  if (!file || write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error("memfd");
  }
  return file;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace coppice::inspect::test
