#include "tests/target/core_maker.hpp"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace coppice::inspect::test {

namespace fs = std::filesystem;

bool CoreFile::exists() const {
  return !path_.empty() && fs::exists(path_) && fs::file_size(path_) > 0;
}

bool kernel_writes_cores() {
  std::ifstream file("/proc/sys/kernel/core_pattern");
  std::string pattern;
  std::getline(file, pattern);
  return !pattern.empty() && pattern[0] != '|' && pattern[0] != '/';
}

CoreFile kernel_core(const std::vector<std::string>& arguments) {
  CoreFile core;
  Child child(arguments, core.folder(), true);
  core.report_ = child.report();
  child.end_by(SIGABRT);
  for (const fs::directory_entry& entry : fs::directory_iterator(core.folder())) core.path_ = entry.path();
  return core;
}

CoreFile gcore_core(const std::vector<std::string>& arguments) {
  CoreFile core;
  Child child(arguments, core.folder());
  core.report_ = child.report();
  const std::string stem = core.folder() + "/core";
  run("gcore -o " + stem + " " + std::to_string(child.pid()) + " >/dev/null 2>&1");
  core.path_ = stem + "." + std::to_string(child.pid());
  return core;
}

std::vector<std::byte> bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

void write_bytes(const std::string& path, const std::vector<std::byte>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace coppice::inspect::test
