#include "tests/symbols/shapes_file.hpp"

#include <fcntl.h>

#include <cstring>
#include <stdexcept>

#include "inspect/worker/debug_info/elf_file.hpp"

namespace coppice::inspect::test {

std::string shapes_path(const std::string& name) {
  return std::string(SHAPES_DIR) + "/" + name;
}

UniqueFd open_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw std::runtime_error("cannot open " + path);
  return fd;
}

std::map<int, std::vector<std::uint64_t>> marks_of(const std::string& path) {
  const auto fd = open_file(path);
  auto file = ElfFile::open(fd.get());
  if (!file.ok()) throw std::runtime_error(path + ": " + file.error().message);
  Elf_Scn* section = file->section("coppice_marks");
  GElf_Shdr header;
  Elf_Data* data = section ? elf_rawdata(section, nullptr) : nullptr;
  if (!data || !gelf_getshdr(section, &header)) throw std::runtime_error(path + " has no marks");
  std::map<int, std::vector<std::uint64_t>> marks;
  for (std::size_t at = 0; at + 16 <= data->d_size; at += 16) {
    std::int64_t pair[2];
    std::memcpy(pair, static_cast<const char*>(data->d_buf) + at, sizeof pair);
    marks[static_cast<int>(pair[1])].push_back(header.sh_addr + at + static_cast<std::uint64_t>(pair[0]));
  }
  for (int id = 1; id <= 9; ++id) {
    if (marks[id].empty()) throw std::runtime_error(path + " lacks a mark");
  }
  return marks;
}

}  // namespace coppice::inspect::test
