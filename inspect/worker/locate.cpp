#include "inspect/worker/locate.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace coppice::inspect::worker {
namespace {

constexpr const char* program_name = "coppice-worker";

std::vector<std::string> places() {
  namespace fs = std::filesystem;
  std::vector<std::string> found;
  auto add = [&](const fs::path& folder) {
    found.push_back((folder / program_name).lexically_normal().string());
  };
  std::error_code failed;
  if (const fs::path self = fs::read_symlink("/proc/self/exe", failed); !failed) add(self.parent_path());
  Dl_info here{};
  if (::dladdr(reinterpret_cast<const void*>(&locate_program), &here) != 0 && here.dli_fname != nullptr) {
    const fs::path object = fs::canonical(here.dli_fname, failed);
    if (!failed) {
      const fs::path folder = object.parent_path();
      for (const char* way : {".", "../bin", "../libexec/coppice", "../../bin", "../../libexec/coppice"})
        add(folder / way);
    }
  }
  add(COPPICE_LIBEXEC_FOLDER);
  return found;
}

bool is_program(const std::string& path) {
  std::error_code failed;
  return std::filesystem::is_regular_file(path, failed) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

Result<std::string> locate_program(const std::string& asked_for) {
  std::string named = asked_for;
  if (named.empty()) {
    const char* variable = std::getenv("COPPICE_WORKER");
    if (variable != nullptr) named = variable;
  }
  if (!named.empty()) {
    if (is_program(named)) return named;
    return Error{ErrorCode::no_file, 0, "coppice-worker: " + named + " is not a program that can be run"};
  }
  std::string tried;
  for (const std::string& place : places()) {
    if (is_program(place)) return place;
    tried += (tried.empty() ? "" : ", ") + place;
  }
  return Error{ErrorCode::no_file, 0,
               "coppice-worker was not found (tried " + tried + "); set COPPICE_WORKER to its path"};
}

}  // namespace coppice::inspect::worker
